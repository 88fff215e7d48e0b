// /openapi.json as a page to read. FastAPI's own one loads its scripts from another host.

import { byId, make } from "./dom.js";
import { fillWords, words } from "./words.js";

const page = byId("docs");

// Words with `code` in them, as elements.
const drawWords = (text) => text.split("`").map((part, place) => (place % 2 ? make("code", {}, part) : part));

function drawList(title, rows) {
  if (!rows.length) return [];
  const list = make("dl");
  for (const [term, text] of rows)
    list.append(make("dt", {}, make("code", {}, term)), make("dd", {}, ...drawWords(text || "–")));
  return [make("h3", {}, ...drawWords(title)), list];
}

const drawFields = ({ required = [], properties = {} }) =>
  Object.entries(properties).map(([name, field]) => {
    const usual = field.default == null || field.default === "" ? "" : words.docsDefault(JSON.stringify(field.default));
    return [name, [field.description, required.includes(name) ? words.docsRequired : usual].filter(Boolean).join(" ")];
  });

function drawBody(content, follow) {
  return Object.entries(content ?? {}).flatMap(([type, { schema }]) => {
    const whole = follow(schema);
    const inner = Object.entries(whole.properties ?? {}).flatMap(([name, field]) =>
      field.$ref ? drawList(words.docsFieldsOf(name), drawFields(follow(field))) : [],
    );
    return [...drawList(words.docsBody(type), drawFields(whole)), ...inner];
  });
}

function drawOperation(method, path, { summary, parameters = [], requestBody, responses }, follow) {
  const given = parameters.filter(({ in: place }) => place !== "header");
  const listed = given.map(({ name, description, schema, required }) => [name, { ...schema, description, required }]);
  const asked = {
    properties: Object.fromEntries(listed),
    required: listed.filter(([, field]) => field.required).map(([name]) => name),
  };
  const example = responses["200"]?.content?.["application/json"]?.example;
  const good = Object.entries(responses).filter(([status]) => status < "400" && status !== "200");
  const errors = Object.keys(responses).filter((status) => status >= "400");
  return make(
    "section",
    {},
    make("h2", {}, summary),
    make("code", {}, `${method.toUpperCase()} ${path}`),
    ...drawList(words.docsParameters, drawFields(asked)),
    ...drawBody(requestBody?.content, follow),
    ...drawList(
      words.docsAnswers,
      good.map(([status, { description }]) => [status, description]),
    ),
    ...(example
      ? [make("h3", {}, words.docsExample), make("pre", { tabIndex: 0 }, JSON.stringify(example, null, 2))]
      : []),
    errors.length ? make("p", { className: "note" }, words.docsErrors(errors.join(", "))) : null,
  );
}

fillWords();
try {
  const { info, paths, components } = await (await fetch("/openapi.json")).json();
  const follow = (schema) => (schema?.$ref ? components.schemas[schema.$ref.split("/").at(-1)] : (schema ?? {}));
  page.append(make("h1", {}, words.docsTitle), make("p", {}, info.description));
  page.append(
    make("p", {}, words.docsCurl),
    make("pre", { tabIndex: 0 }, `curl -F image=@photo.jpg -F 'query={"k": 5}' ${location.origin}/v1/search`),
  );
  const meanings = {};
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      page.append(drawOperation(method, path, operation, follow));
      for (const [status, { description }] of Object.entries(operation.responses))
        if (status >= "400") meanings[status] = description;
    }
  }
  page.append(
    make(
      "section",
      {},
      make("h2", {}, words.docsErrorsTitle),
      make("p", {}, ...drawWords(words.docsErrorsShape)),
      ...drawList("", Object.entries(meanings)),
    ),
  );
} catch {
  page.append(make("p", { className: "problem" }, words.lost));
}
