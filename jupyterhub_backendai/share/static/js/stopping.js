// A session that stops: look again until it is over.
const LOOK_MS = 3000;

setTimeout(() => window.location.reload(), LOOK_MS);
