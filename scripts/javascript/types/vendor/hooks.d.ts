import type { Dispatch, StateUpdater } from "preact/hooks";
export * from "preact/hooks";

/** `useRef(null)` is a reference to an element. The view library sets it before effects and handlers run. */
export function useRef(initial: null): Ref;
export function useRef<Kind>(initial: Kind): { current: Kind };

export function useState<Kind>(initial: Kind | (() => Kind)): [Kind, Dispatch<StateUpdater<Kind>>];
