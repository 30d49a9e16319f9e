/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What components share. */
import { useEffect, useLayoutEffect, useReducer } from "preact/hooks";

/** What useTopics needs of a topic, whatever its news are. */
interface Subscribable {
  subscribe(listener: () => void): () => void;
}

/** Draws the component anew whenever one of the topics has news. */
export function useTopics(...topics: Subscribable[]): void {
  const [, draw] = useReducer((drawn: number, _news: null) => drawn + 1, 0);
  /* Not useEffect: that runs after painting, and news that came before it would be missed. */
  useLayoutEffect(() => {
    const off = topics.map((topic) => topic.subscribe(() => draw(null)));
    return () => off.forEach((unsubscribe) => unsubscribe());
  }, topics);
}

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title;
  }, [title]);
}
