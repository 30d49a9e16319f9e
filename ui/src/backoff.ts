/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Waiting times that double up to a limit. The upper half is random, so that a thousand pages which
 * lost the same gateway do not come back in the same millisecond.
 */
export class Backoff {
  private tries = 0;

  constructor(
    private readonly first_ms: number,
    private readonly last_ms: number,
    private readonly random: () => number = Math.random,
  ) {}

  /** The next wait; never shorter than what the other side asked for. */
  next_ms(asked_ms = 0): number {
    const full = Math.min(this.last_ms, this.first_ms * 2 ** this.tries);
    this.tries += 1;
    const spread = full / 2 + (full / 2) * this.random();
    return Math.round(asked_ms > 0 ? asked_ms + spread / 2 : spread);
  }

  reset(): void {
    this.tries = 0;
  }
}
