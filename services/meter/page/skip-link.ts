/**
 * The link that leads a keyboard over the list of pools.
 *
 * It moves the focus and leaves the address alone: what is behind the "#" there says what is shown.
 */
import { byId, setText } from "./element.js";

/** Makes the link lead to the workers where they are shown, else to the view that is. */
export function startSkipLink(): void {
  const link = byId("skip");
  link.addEventListener("focus", () => setText(link, `Skip to the ${workers() === undefined ? "content" : "workers"}`));
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const target = workers() ?? byId("main");
    target.tabIndex = -1;
    target.focus();
    target.scrollIntoView();
  });
}

function workers(): HTMLElement | undefined {
  return byId("content").hidden ? undefined : byId("workers-title");
}
