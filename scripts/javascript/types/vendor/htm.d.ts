import type { VNode } from "preact";

/** A value in a template. Handlers are listed, so that their parameters need no annotation. */
type Value = string | number | boolean | null | undefined | object | ((...parameters: any[]) => unknown);

declare const htm: { bind(h: unknown): (parts: TemplateStringsArray, ...values: Value[]) => VNode };
export default htm;
