import js from "@eslint/js";
import globals from "globals";

// A folder imports only from itself and from those before it.
const LAYERS = ["core", "state", "ui", "forms", "views"];
const layers = LAYERS.map((folder, index) => ({
  files: [`project_manager/web/static/${folder}/**`],
  rules: {
    "no-restricted-imports": ["error", { patterns: LAYERS.slice(index + 1).map((above) => `**/${above}/*`) }],
  },
}));

export default [
  { ignores: ["project_manager/web/static/vendor"] },
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2024, globals: globals.browser },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "array-callback-return": "error",
      // Optional chaining and defaults count too.
      complexity: ["error", 12],
      curly: ["error", "multi-line"],
      eqeqeq: "error",
      "max-depth": ["error", 3],
      "max-len": ["error", 120],
      "max-lines-per-function": ["error", 50],
      "max-params": ["error", 5],
      "no-console": "error",
      "no-else-return": "error",
      "no-implicit-coercion": "error",
      "no-param-reassign": "error",
      "no-self-compare": "error",
      "no-shadow": ["error", { ignoreOnInitialization: true }],
      "no-throw-literal": "error",
      "no-unneeded-ternary": "error",
      "no-unused-expressions": ["error", { allowShortCircuit: true, allowTernary: true }],
      "no-useless-rename": "error",
      "no-useless-return": "error",
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
      "prefer-template": "error",
    },
  },
  ...layers,
];
