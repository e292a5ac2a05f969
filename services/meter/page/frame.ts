/** One drawing per animation frame, however many messages came. */

/** Returns a function that asks for `draw` once before the next repaint. */
export function oncePerFrame(draw: () => void): () => void {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}
