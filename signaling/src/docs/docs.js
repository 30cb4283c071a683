// Draws the page from the relay's own OpenAPI document. No library, no network but the relay.
// Whatever comes from the document or from an answer is put in as text, never as markup.
"use strict";

const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
};

// Descriptions are written with `code` in them.
const prose = (text) => (text || "").split("`").map((part, index) => (index % 2 ? make("code", {}, part) : part));

const byId = (id) => document.getElementById(id);
const schemaName = (schema) => schema?.$ref?.split("/").pop();

const typeOf = (schema) => {
  if (!schema) return "";
  if (schema.$ref) return schemaName(schema);
  const options = schema.oneOf || schema.anyOf || schema.allOf;
  if (options) return options.map(typeOf).join(" or ");
  const type = [].concat(schema.type || "any").join(" or ");
  return type === "array" ? `list of ${typeOf(schema.items)}` : schema.format ? `${type} (${schema.format})` : type;
};

const resolve = (schema, spec) => (schema?.$ref ? spec.components.schemas[schemaName(schema)] : schema) || {};

const fieldsOf = (schema, spec) => {
  const parts = [schema, ...(schema.allOf || [])].map((part) => resolve(part, spec));
  return {
    properties: Object.assign({}, ...parts.map((part) => part.properties || {})),
    required: parts.flatMap((part) => part.required || []),
  };
};

const table = (schema, spec) => {
  const { properties, required } = fieldsOf(schema, spec);
  const rows = Object.entries(properties).map(([name, field]) =>
    make("tr", {},
      make("td", {}, make("code", {}, name), required.includes(name) ? "" : " (optional)"),
      make("td", {}, typeOf(field)),
      make("td", {}, ...prose(field.description || resolve(field, spec).description))));
  return rows.length ? make("table", {}, make("tbody", {}, ...rows)) : make("p", {}, ...prose(schema.description));
};

const example = (schema, spec) => {
  const { properties, required } = fieldsOf(schema, spec);
  const sample = {};
  for (const name of required.filter((name) => properties[name])) {
    const field = properties[name];
    sample[name] = field.example ?? ([].concat(field.type).includes("integer") ? 0 : "");
  }
  return JSON.stringify(sample, null, 2);
};

const keepToken = (text) => {
  try {
    const token = JSON.parse(text)?.tokens?.access_token;
    if (token) byId("token").value = token;
  } catch {
    // Not JSON: no token in it.
  }
};

const tryIt = (path, method, operation, spec) => {
  const parameters = operation.parameters || [];
  const fields = new Map(parameters.map((parameter) => [parameter.name, make("input", { type: "text" })]));
  const body = resolve(operation.requestBody?.content?.["application/json"]?.schema, spec);
  const editor = operation.requestBody ? make("textarea", { spellcheck: "false" }) : null;
  if (editor) editor.value = example(body, spec);
  const output = make("pre", { class: "hidden", "aria-live": "polite" });
  const send = async () => {
    let target = path;
    for (const [name, input] of fields) target = target.replace(`{${name}}`, encodeURIComponent(input.value));
    const headers = {};
    if (editor) headers["content-type"] = "application/json";
    if (operation.security && byId("token").value) headers.authorization = `Bearer ${byId("token").value}`;
    output.classList.remove("hidden");
    output.textContent = "…";
    try {
      const answer = await fetch(target, { method: method.toUpperCase(), headers, body: editor?.value });
      const text = await answer.text();
      keepToken(text);
      let shown = text;
      try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* shown as it came */ }
      output.textContent = `${answer.status} ${answer.statusText}\n${shown}`;
    } catch (error) {
      output.textContent = `The relay did not answer: ${error.message}`;
    }
  };
  return make("div", {},
    ...[...fields].map(([name, input]) => make("label", {}, name, input)),
    editor ? make("label", {}, "Body", editor) : null,
    make("p", {}, make("button", { type: "button", onclick: send }, "Try it")),
    output);
};

const drawOperation = (path, method, operation, spec) => {
  const body = operation.requestBody?.content?.["application/json"]?.schema;
  const responses = Object.entries(operation.responses || {}).map(([status, response]) => {
    const [type, content] = Object.entries(response.content || {})[0] || [];
    return make("li", {}, make("code", {}, status), " ", ...prose(response.description), " ",
      content?.schema ? make("code", {}, typeOf(content.schema)) : type ? make("code", {}, type) : "");
  });
  return make("details", { "data-search": `${method} ${path} ${operation.summary || ""}`.toLowerCase() },
    make("summary", { class: operation.security ? "locked" : "" },
      make("span", { class: `method ${method}` }, method.toUpperCase()),
      make("code", {}, path), ` ${operation.summary || ""}`),
    make("div", {},
      operation.description ? make("p", {}, ...prose(operation.description)) : null,
      body ? table(resolve(body, spec), spec) : null,
      make("ul", {}, ...responses),
      tryIt(path, method, operation, spec)));
};

const draw = (spec) => {
  byId("title").textContent = `${spec.info.title} ${spec.info.version}`;
  byId("about").replaceChildren(...prose(spec.info.description));
  const operations = Object.entries(spec.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({ path, method, operation })));
  const chapters = (spec.tags || []).map((tag) => {
    const own = operations.filter(({ operation }) => (operation.tags || []).includes(tag.name));
    return make("section", {}, make("h2", {}, tag.name), make("p", {}, ...prose(tag.description)),
      ...own.map(({ path, method, operation }) => drawOperation(path, method, operation, spec)));
  });
  byId("operations").replaceChildren(...chapters);
  byId("problems").replaceChildren(...problems(spec));
  byId("schemas").replaceChildren(...Object.entries(spec.components.schemas).map(([name, schema]) =>
    make("details", {}, make("summary", {}, make("code", {}, name)),
      make("div", {}, make("p", {}, ...prose(schema.description)), table(schema, spec)))));
  byId("filter").addEventListener("input", (event) => {
    for (const details of document.querySelectorAll("[data-search]")) {
      details.classList.toggle("hidden", !details.dataset.search.includes(event.target.value.toLowerCase()));
    }
  });
  // The ids that problems point at exist only now.
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
};

const problems = (spec) => {
  const codes = spec.components.schemas.ProblemCode || {};
  return (codes.enum || []).map((code) => make("li", { id: `problem-${code}` }, make("code", {}, code)));
};

fetch("/api/v1/openapi.json")
  .then((answer) => answer.json())
  .then(draw)
  .catch((error) => { byId("operations").textContent = `The document could not be read: ${error.message}`; });
