// Moments of a bill in the reader's own zone.
import { dressTimes } from "./times.js";

dressTimes();
