/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Times, counts and names, as people read them. Pure. */

export function initials(name: string): string {
  const parts = name.split(/[\s._-]+/).filter((part) => part !== "");
  const first = Array.from(parts[0] ?? "?")[0] ?? "?";
  const second = parts.length > 1 ? (Array.from(parts[parts.length - 1] ?? "")[0] ?? "") : "";
  return (first + second).toUpperCase();
}

/** 0 to 7: the same person has the same colour everywhere. */
export function colour(id: string): number {
  let hash = 0;
  for (let at = 0; at < id.length; at += 1) {
    hash = (hash * 31 + id.charCodeAt(at)) >>> 0;
  }
  return hash % 8;
}

export function typing_text(names: string[]): string {
  const [first, second] = names;
  switch (names.length) {
    case 0:
      return "";
    case 1:
      return `${first} is typing`;
    case 2:
      return `${first} and ${second} are typing`;
    case 3:
      return `${first}, ${second} and ${names[2]} are typing`;
    default:
      return `${first}, ${second} and ${names.length - 2} others are typing`;
  }
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

export function clock_time(time: number): string {
  return new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" }).format(time);
}

export function full_time(time: number): string {
  return new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "short" }).format(time);
}

export function day_key(time: number): string {
  return new Date(time).toDateString();
}

export function day_text(time: number, now: number): string {
  const days = Math.round(
    (new Date(day_key(now)).getTime() - new Date(day_key(time)).getTime()) / 86_400_000,
  );
  if (days === 0) {
    return "Today";
  }
  if (days === 1) {
    return "Yesterday";
  }
  const year = new Date(time).getFullYear() === new Date(now).getFullYear() ? undefined : "numeric";
  return new Intl.DateTimeFormat(undefined, {
    weekday: "long",
    day: "numeric",
    month: "long",
    year,
  }).format(time);
}

/** For lists: the time of today, otherwise the day. */
export function short_time(time: number, now: number): string {
  return day_key(time) === day_key(now)
    ? clock_time(time)
    : new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" }).format(time);
}
