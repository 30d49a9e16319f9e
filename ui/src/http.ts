/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The few things that go over HTTP, because they set or clear the session cookie. */
import { RequestError, type AccountRole, type Failure, type Id } from "./protocol";

export interface Account {
  user: Id;
  name: string;
  role: AccountRole;
  /** End of the session, ms since 1970. */
  expires: number;
}

const SIGNED_OUT = new Set(["unauthenticated", "bad_token", "session_unknown", "http_401"]);

async function call(method: string, path: string, body?: object): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(`/api/v1/${path}`, {
      method,
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      credentials: "same-origin",
      cache: "no-store",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new RequestError({ code: "unavailable", unknown: true });
  }
  if (!response.ok) {
    throw new RequestError(await failure(response));
  }
  return response;
}

async function failure(response: Response): Promise<Failure> {
  try {
    const body = (await response.json()) as Partial<Failure>;
    return { ...body, code: body.code ?? `http_${response.status}` };
  } catch {
    return { code: response.status >= 500 ? "unavailable" : `http_${response.status}` };
  }
}

export interface Registration {
  name: string;
  email?: string;
  password: string;
  remember?: boolean;
  /** Standard base64. */
  invitation?: string;
}

export async function register(registration: Registration): Promise<Account> {
  return (await call("POST", "accounts", registration)).json() as Promise<Account>;
}

export async function sign_in(
  login: string,
  password: string,
  remember: boolean,
): Promise<Account> {
  const response = await call("POST", "session", { login, password, remember });
  return response.json() as Promise<Account>;
}

export async function sign_out(): Promise<void> {
  try {
    await call("DELETE", "session");
  } catch (error) {
    if (!(error instanceof RequestError) || !SIGNED_OUT.has(error.code)) {
      throw error;
    }
  }
}

/** Null: nobody is signed in. Fails if that cannot be found out. */
export async function who_am_i(): Promise<Account | null> {
  try {
    return (await (await call("GET", "session")).json()) as Account;
  } catch (error) {
    if (error instanceof RequestError && SIGNED_OUT.has(error.code)) {
      return null;
    }
    throw error;
  }
}

/** An invitation link carries base64url; the services speak standard base64. */
export function standard_base64(text: string): string {
  const plain = text.replace(/-/g, "+").replace(/_/g, "/").replace(/=+$/, "");
  return plain + "=".repeat((4 - (plain.length % 4)) % 4);
}
