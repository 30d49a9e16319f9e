/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Addresses. They are real ones (the gateway answers each with the same page), links are plain
 * `<a href>`, and a click on one of ours is taken here instead of loading the page anew.
 */
import { Topic } from "./topic";
import type { Id } from "./protocol";

export type Route =
  | { page: "landing" }
  | { page: "register"; invitation: string; next: string }
  | { page: "login"; next: string }
  | { page: "dashboard" }
  | { page: "room"; room: Id }
  | { page: "missing" };

export const DASHBOARD = "/chat/dashboard/";
export const navigation = new Topic<void>();

export function room_address(room: Id): string {
  return `/chat/${room}/`;
}

/** Only an address of this host: `next` comes from a link that anybody may have made. */
export function safe_next(next: string | null): string {
  return next && /^\/(?![/\\])/.test(next) && !/[\u0000-\u001f\\]/.test(next) ? next : DASHBOARD;
}

export function with_next(page: "/login/" | "/register/", next: string): string {
  return next === DASHBOARD ? page : `${page}?next=${encodeURIComponent(next)}`;
}

export function match(path: string, search: string): Route {
  const query = new URLSearchParams(search);
  const next = safe_next(query.get("next"));
  const plain = path.endsWith("/") ? path : `${path}/`;
  switch (plain) {
    case "/":
      return { page: "landing" };
    case "/register/":
      return { page: "register", invitation: query.get("invitation") ?? "", next };
    case "/login/":
      return { page: "login", next };
    case "/chat/":
    case DASHBOARD:
      return { page: "dashboard" };
  }
  const room = /^\/chat\/([0-9a-fA-F]{32})\/$/.exec(plain)?.[1];
  return room ? { page: "room", room: room.toLowerCase() } : { page: "missing" };
}

export function navigate(address: string, replace = false): void {
  if (replace) {
    history.replaceState(null, "", address);
  } else {
    history.pushState(null, "", address);
  }
  navigation.emit();
}

function clicked(event: MouseEvent): void {
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey;
  const link = (event.target as Element | null)?.closest("a");
  if (!plain || event.defaultPrevented || !link || link.target || link.origin !== location.origin) {
    return;
  }
  if (match(link.pathname, link.search).page !== "missing" && !link.hash) {
    event.preventDefault();
    navigate(link.pathname + link.search);
  }
}

export function start_router(): void {
  document.addEventListener("click", clicked);
  window.addEventListener("popstate", () => navigation.emit());
}
