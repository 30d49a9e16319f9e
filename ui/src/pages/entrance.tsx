/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Register and log in: two forms in one frame. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { app } from "../app";
import { Checkbox, Field, Problem } from "../components/field";
import { Brand } from "../components/top_bar";
import { useTitle } from "../hooks";
import { register, sign_in, standard_base64, type Account } from "../http";
import { explain } from "../protocol";
import { navigate, with_next } from "../router";

interface FrameProps {
  title: string;
  verb: string;
  submit: () => Promise<Account>;
  next: string;
  children: ComponentChildren;
  other: ComponentChildren;
}

function Entrance({ title, verb, submit, next, children, other }: FrameProps) {
  const [problem, set_problem] = useState("");
  const [busy, set_busy] = useState(false);
  useTitle(`${title} · DistriChat`);
  const go = async () => {
    set_busy(true);
    set_problem("");
    try {
      const account = await submit();
      await app.enter(account);
      navigate(next, true);
    } catch (error) {
      set_problem(explain(error));
      set_busy(false);
    }
  };
  return (
    <main class="grid min-h-full place-items-center px-4 py-10">
      <div class="w-full max-w-md">
        <div class="mb-6 flex justify-center">
          <Brand to="/" />
        </div>
        <div class="card p-6 [box-shadow:var(--shade)] sm:p-8">
          <h1 class="mb-5 text-3xl font-semibold">{title}</h1>
          <form
            class="grid gap-4"
            onSubmit={(event) => {
              event.preventDefault();
              void go();
            }}
          >
            {children}
            <Problem>{problem}</Problem>
            <button type="submit" class="button button-main" disabled={busy}>
              {verb}
            </button>
          </form>
        </div>
        <p class="mt-5 text-center text-quiet">{other}</p>
      </div>
    </main>
  );
}

const LINK = "font-semibold text-link underline underline-offset-2";

export function Login({ next }: { next: string }) {
  const [login, set_login] = useState("");
  const [password, set_password] = useState("");
  const [remember, set_remember] = useState(false);
  return (
    <Entrance
      title="Log in"
      verb="Log in"
      next={next}
      submit={() => sign_in(login.trim(), password, remember)}
      other={
        <>
          New here?{" "}
          <a class={LINK} href={with_next("/register/", next)}>
            Create an account
          </a>
        </>
      }
    >
      <Field
        label="User name or e-mail"
        value={login}
        change={set_login}
        autocomplete="username"
        autocapitalize="none"
        spellcheck={false}
        required
      />
      <Field
        label="Password"
        type="password"
        value={password}
        change={set_password}
        autocomplete="current-password"
        required
      />
      <Checkbox label="Remember me for 30 days" checked={remember} change={set_remember} />
    </Entrance>
  );
}

export function Register({ next, invitation }: { next: string; invitation: string }) {
  const [name, set_name] = useState("");
  const [email, set_email] = useState("");
  const [password, set_password] = useState("");
  const [remember, set_remember] = useState(false);
  const submit = () =>
    register({
      name: name.trim(),
      ...(email.trim() ? { email: email.trim() } : {}),
      password,
      remember,
      ...(invitation ? { invitation: standard_base64(invitation) } : {}),
    });
  return (
    <Entrance
      title="Create an account"
      verb="Register"
      next={next}
      submit={submit}
      other={
        <>
          Already have one?{" "}
          <a class={LINK} href={with_next("/login/", next)}>
            Log in
          </a>
        </>
      }
    >
      {invitation && (
        <p class="rounded-xl bg-amber-ground px-3.5 py-2.5 text-amber">
          You were invited: this account will be an administrator.
        </p>
      )}
      <Field
        label="User name"
        hint="2 to 32 letters, digits, dots, hyphens and underscores."
        value={name}
        change={set_name}
        pattern="\s*[A-Za-z0-9][A-Za-z0-9._\-]{1,31}\s*"
        title="2 to 32 letters, digits, dots, hyphens and underscores; the first a letter or digit"
        autocomplete="username"
        autocapitalize="none"
        spellcheck={false}
        required
      />
      <Field
        label="E-mail"
        hint="You may leave this empty. With it you can log in by either."
        type="email"
        value={email}
        change={set_email}
        maxLength={254}
        autocomplete="email"
      />
      <Field
        label="Password"
        hint="At least 8 characters."
        type="password"
        value={password}
        change={set_password}
        minLength={8}
        maxLength={512}
        autocomplete="new-password"
        required
      />
      <Checkbox label="Remember me for 30 days" checked={remember} change={set_remember} />
    </Entrance>
  );
}
