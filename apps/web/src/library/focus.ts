/** As a `ref`: what comes into the page takes the focus, where a person has just asked for it. */
export const focusFirst = (element: HTMLElement | null): void => {
  element?.focus();
};
