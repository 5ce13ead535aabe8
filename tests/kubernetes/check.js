// node check.js MANIFEST...: prints every document of the files as one JSON array, after holding each against the schema that
// Kubernetes publishes for its kind, and unknown keys against it too, which an API server drops silently. Exit 1 with sentences.
"use strict";
const fs = require("fs");
const path = require("path");
const yaml = require("yaml");
const Ajv = require("ajv");

const schemas = new Map();
const home = path.join(__dirname, "node_modules", "kubernetes-models");

// The package's modules hand their schemas to its own validator; here they are handed to us.
const validator = require.resolve("@kubernetes-models/validate", { paths: [home] });
require.cache[validator] = { id: validator, filename: validator, loaded: true, exports: { register: (id, schema) => schemas.set(id, schema) } };

function strict(schema) {
  if (Array.isArray(schema)) return schema.map(strict);
  if (schema === null || typeof schema !== "object") return schema;
  const out = {};
  for (const [key, value] of Object.entries(schema))
    out[key] = key === "properties" ? Object.fromEntries(Object.entries(value).map(([name, s]) => [name, strict(s)])) : strict(value);
  if (out.type === "object" && out.properties && out.additionalProperties === undefined) out.additionalProperties = false;
  return out;
}

// "apps/v1", "StatefulSet" -> io.k8s.api.apps.v1.StatefulSet
function idOf(apiVersion, kind) {
  const [group, version] = apiVersion.includes("/") ? apiVersion.split("/") : ["core", apiVersion];
  return `io.k8s.api.${group.replace(/\.k8s\.io$/, "").replace(/\..*$/, "")}.${version}.${kind}`;
}

function load(id) {
  const file = id.split(".").map((word) => word[0].toUpperCase() + word.slice(1)).join("");
  require(path.join(home, "_schemas", `${file}.js`)).addSchema();
}

const found = [], wrong = [];
for (const file of process.argv.slice(2))
  for (const document of yaml.parseAllDocuments(fs.readFileSync(file, "utf8"), { uniqueKeys: true, version: "1.1" })) {
    document.errors.concat(document.warnings).forEach((error) => wrong.push(`${file}: ${error.message}`));
    const value = document.toJS();
    if (value !== null) found.push({ file, value });
  }

const known = found.filter(({ value }) => !value.apiVersion.startsWith("kustomize.config.k8s.io/"));
known.forEach(({ value }) => load(idOf(value.apiVersion, value.kind)));
const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false, validateSchema: false });
for (const [name, schema] of schemas) ajv.addSchema({ ...strict(schema), $id: `${name}#` });
for (const { file, value } of known) {
  const validate = ajv.getSchema(`${idOf(value.apiVersion, value.kind)}#`);
  if (!validate(value))
    for (const error of validate.errors)
      wrong.push(`${file}: ${value.kind} ${value.metadata.name}: ${error.instancePath}: ${error.message} ${JSON.stringify(error.params)}`);
}
if (wrong.length > 0) {
  console.error(wrong.join("\n"));
  process.exit(1);
}
console.log(JSON.stringify(found.map(({ value }) => value)));
