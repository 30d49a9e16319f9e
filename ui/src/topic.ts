/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Listeners of one kind of news. */
export class Topic<T> {
  private readonly listeners = new Set<(value: T) => void>();

  /** Returns what takes the listener off again. */
  subscribe(listener: (value: T) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  emit(value: T): void {
    for (const listener of [...this.listeners]) {
      listener(value);
    }
  }
}
