// Notifications of the browser: asked for by a press of a button, remembered in this browser, shown when nobody looks at the page.

const KEY = "backendai-notify";

export const canNotify = "Notification" in window && window.isSecureContext;

export function isOn() {
  return canNotify && Notification.permission === "granted" && window.localStorage.getItem(KEY) === "on";
}

export function isDenied() {
  return canNotify && Notification.permission === "denied";
}

// Ask (the browser does so only on a press of a button), and remember; whether they come from now on.
export async function turnOn() {
  const permission = await Notification.requestPermission();
  if (permission === "granted") window.localStorage.setItem(KEY, "on");
  return isOn();
}

export function turnOff() {
  window.localStorage.removeItem(KEY);
}

// Show one, unless somebody looks at this page; a press on it brings the page to the front. Whether one was shown.
export function notify(title, body, tag) {
  if (!isOn() || (!document.hidden && document.hasFocus())) return false;
  try {
    const note = new Notification(title, { body, tag });
    note.onclick = () => {
      window.focus();
      note.close();
    };
  } catch {
    return false; // some browsers of phones have notifications of workers only
  }
  return true;
}
