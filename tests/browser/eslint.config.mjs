// Lint the pages of LuCI, and the tests of all pages.

const everywhere = {
  "array-callback-return": "error",
  "consistent-return": "error",
  eqeqeq: ["error", "always", { null: "ignore" }],
  "no-constant-condition": "error",
  "no-dupe-keys": "error",
  "no-eval": "error",
  "no-fallthrough": "error",
  "no-implied-eval": "error",
  "no-redeclare": "error",
  "no-shadow": "error",
  "no-undef": "error",
  "no-unreachable": "error",
  "no-unused-expressions": "error",
  "no-unused-vars": "error",
  "no-use-before-define": ["error", { functions: false, variables: false }],
};

// LuCI passes the modules of 'require' lines as arguments.
const modules = ["baseclass", "dom", "form", "fs", "poll", "rpc", "uci", "ui", "view"];

const readonly = (names) => Object.fromEntries(names.map((name) => [name, "readonly"]));

const inBrowser = ["window", "document", "fetch", "Node", "setTimeout", "clearTimeout", "setInterval", "clearInterval"];
const inNode = ["structuredClone", "process", "console", "Buffer", "URL", "setTimeout"];

export default [
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  {
    files: ["boards/openwrt/luci-app-nakodo/htdocs/**/*.js"],
    languageOptions: {
      ecmaVersion: 5,
      sourceType: "commonjs", // a view returns its class at the top level
      globals: readonly([...modules, "L", "E", "_", "Promise", "window", "document"]),
    },
    rules: {
      ...everywhere,
      strict: ["error", "global"],
      "no-restricted-properties": ["error", { property: "innerHTML" }, { property: "outerHTML" }],
      "no-restricted-syntax": [
        "error",
        ...["[arguments.length=3]", "[arguments.length=2]"].map((count, index) => ({
          selector:
            `CallExpression[callee.name="E"]${count} > :not(ArrayExpression, CallExpression[callee.property.` +
            `name=/^(map|concat)$/]${index ? ", ObjectExpression" : ""}):last-child`,
          message: "LuCI reads a bare child as HTML: pass an array.",
        })),
      ],
    },
  },
  {
    files: ["tests/browser/luci/played/**/*.js"],
    languageOptions: { ecmaVersion: 2022, sourceType: "module", globals: readonly(inBrowser) },
    rules: everywhere,
  },
  {
    files: ["tests/browser/**/*.mjs"],
    languageOptions: { ecmaVersion: 2022, sourceType: "module", globals: readonly([...inNode, ...inBrowser]) },
    rules: everywhere,
  },
];
