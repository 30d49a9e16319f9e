/* SPDX-License-Identifier: GPL-3.0-or-later */

import { render } from "preact";
import { useEffect } from "preact/hooks";
import { app } from "./app";
import { Logo } from "./components/icon";
import { TopBar } from "./components/top_bar";
import { useTitle, useTopics } from "./hooks";
import { Dashboard } from "./pages/dashboard";
import { Login, Register } from "./pages/entrance";
import { Landing } from "./pages/landing";
import { RoomPage } from "./pages/room";
import { match, navigate, navigation, start_router, with_next } from "./router";
import "./styles.css";

function Waiting({ text }: { text: string }) {
  return (
    <main class="grid min-h-full place-items-center" aria-busy="true">
      <div class="grid justify-items-center gap-4">
        <Logo class="size-12" />
        <p role="status" class="text-quiet">
          {text}
        </p>
      </div>
    </main>
  );
}

function Missing() {
  useTitle("Not found · DistriChat");
  return (
    <div class="min-h-full">
      <TopBar account={app.session.state === "in" ? app.session.account : null} />
      <main class="p-10 text-center">
        <h1 class="text-3xl font-semibold">There is nothing at this address</h1>
        <p class="mt-4">
          <a class="button button-main" href="/">
            To the start
          </a>
        </p>
      </main>
    </div>
  );
}

function Redirect({ to }: { to: string }) {
  useEffect(() => navigate(to, true), [to]);
  return <Waiting text="One moment…" />;
}

function Root() {
  useTopics(app.changes, navigation);
  const { session } = app;
  const route = match(location.pathname, location.search);
  if (session.state === "asking") {
    return <Waiting text="One moment…" />;
  }
  if (session.state === "unreachable") {
    return <Waiting text="The service cannot be reached. Trying again…" />;
  }
  const account = session.state === "in" ? session.account : null;
  switch (route.page) {
    case "landing":
      return <Landing account={account} />;
    case "login":
      return account ? <Redirect to={route.next} /> : <Login next={route.next} />;
    case "register":
      return account && !route.invitation ? (
        <Redirect to={route.next} />
      ) : (
        <Register next={route.next} invitation={route.invitation} />
      );
    case "missing":
      return <Missing />;
  }
  if (session.state !== "in") {
    return <Redirect to={with_next("/login/", location.pathname)} />;
  }
  const { state: _state, ...parts } = session;
  return route.page === "room" ? (
    <RoomPage key={`${route.room} ${parts.account.user}`} room={route.room} {...parts} />
  ) : (
    <Dashboard {...parts} />
  );
}

start_router();
void app.start();
const root = document.getElementById("app");
if (root) {
  render(<Root />, root);
}
