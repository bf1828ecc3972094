// Calls of the hub's REST interface from the hub's own pages, with the page's XSRF token.

export async function callHub(method, url, token, body) {
  const headers = { "X-XSRFToken": token, Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const options = { method, headers, cache: "no-store", credentials: "same-origin" };
  if (body !== undefined) options.body = JSON.stringify(body);
  return fetch(url, options);
}
