// Notifications of the browser that a session is ready: asked for by a press of a button, remembered in this browser, shown when nobody
// looks at the page.

const KEY = "backendai-notify";

export const canNotify = "Notification" in window && window.isSecureContext;

export function recall(store, key) {
  try {
    return window[store].getItem(key);
  } catch {
    return null; // a browser that keeps nothing
  }
}

export function keep(store, key, value) {
  try {
    window[store].setItem(key, value);
  } catch {
    // then it is asked for anew on the next page
  }
}

export function isOn() {
  return canNotify && Notification.permission === "granted" && recall("localStorage", KEY) === "on";
}

export function isDenied() {
  return canNotify && Notification.permission === "denied";
}

// Ask (the browser does so only on a press of a button), and remember.
export async function turnOn() {
  if ((await Notification.requestPermission()) === "granted") keep("localStorage", KEY, "on");
}

export function turnOff() {
  keep("localStorage", KEY, "off");
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
