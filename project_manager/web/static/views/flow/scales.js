// Axes of the charts: round values, local times, and the place of a value.
import { hourAndMinute, shortDate, weekday } from "../../core/format.js";

const TICKS = 4;
const HOUR_S = 3600;
const DAY_S = 86_400;
const ROUND_SECONDS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, HOUR_S, 2 * HOUR_S, 3 * HOUR_S, 6 * HOUR_S, 12 * HOUR_S,
];

/** Return the smallest of 1, 2 and 5 times a power of ten that is not below `least`. */
function roundNumber(/** @type {number} */ least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least) ?? 10 * power;
}

/** Return the smallest round duration in seconds that is not below `least`. Above half a day it is whole days. */
const roundSeconds = (/** @type {number} */ least) =>
  ROUND_SECONDS.find((step) => step >= least) ?? roundNumber(Math.ceil(least / DAY_S)) * DAY_S;

/** Return the values of the axis from 0 to the first one that is not below `most`: four or five. */
export function ticksFor(/** @type {number} */ most, /** @type {"count" | "time"} */ unit) {
  const step = (unit === "time" ? roundSeconds : roundNumber)(most / TICKS);
  const number = Math.max(1, Math.ceil(most / step));
  return Array.from({ length: number + 1 }, (_, index) => index * step);
}

/** Return a round duration of an axis: "30 s", "5 min", "2 h" or "3 d". */
export function axisTime(/** @type {number} */ seconds) {
  if (seconds < 60) return seconds === 0 ? "0" : `${seconds} s`;
  if (seconds < HOUR_S) return `${seconds / 60} min`;
  return seconds < DAY_S ? `${seconds / HOUR_S} h` : `${seconds / DAY_S} d`;
}

/** Return the indices of the points that the time axis names: local hours, or the beginnings of days. */
/** @param {FlowPeriod[]} periods @param {number} step @param {number} most */
function labelled(periods, step, most) {
  const all = periods.map((_, index) => index);
  const hourOf = (/** @type {number} */ index) => new Date(periods[index].from).getHours();
  const hourly = (/** @type {number} */ every) => all.filter((index) => hourOf(index) % every === 0);
  if (step === 1) return [1, 2, 3, 6, 12, 24].map(hourly).find((found) => found.length <= most) ?? [];
  const days = all.filter((index) => hourOf(index) < step);
  const every = Math.ceil(days.length / most);
  return days.filter((_, order) => (days.length - 1 - order) % every === 0);
}

/** Return the labels of the time axis as [index of the point, text]. Times are local. */
/** @param {FlowPeriod[]} periods @param {number} step @param {number} most @returns {[number, string][]} */
export function timeLabels(periods, step, most) {
  const year = new Date(periods[periods.length - 1].from).getFullYear();
  return labelled(periods, step, most).map((index) => {
    const { from } = periods[index];
    return [index, step === 1 ? hourAndMinute(from) : step < 24 ? weekday(from) : shortDate(from, year)];
  });
}

/** Return the words for the time of a point: "14:00 to 15:00", "Mon 24, 12:00 to 18:00" or "24 Nov". */
export function periodWords(/** @type {FlowPeriod} */ { from, until }, /** @type {number} */ step) {
  if (step === 24) return shortDate(from, new Date().getFullYear());
  const hours = `${hourAndMinute(from)} to ${hourAndMinute(until)}`;
  return step === 1 ? hours : `${weekday(from)}, ${hours}`;
}

/** Return the runs of neighbouring points with a value, as lists of [index, value]. A gap ends a run. */
export function runsOf(/** @type {(number | null)[]} */ values) {
  /** @type {[number, number][][]} */
  const runs = [];
  values.forEach((value, index) => {
    if (value === null) return;
    if (index === 0 || values[index - 1] === null) runs.push([]);
    runs[runs.length - 1].push([index, value]);
  });
  return runs;
}
