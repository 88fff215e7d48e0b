// /openapi.json as a page to read. FastAPI's own one loads its scripts from another host.

const page = document.getElementById("docs");

function make(tag, text, ...children) {
  const element = document.createElement(tag);
  element.append(...(text ? [text] : []), ...children);
  return element;
}

// Words with `code` in them, as elements.
function drawWords(text) {
  return text.split("`").map((part, place) => (place % 2 ? make("code", part) : part));
}

function drawList(title, rows) {
  if (!rows.length) return [];
  const list = make("dl", "");
  for (const [term, words] of rows) list.append(make("dt", "", make("code", term)), make("dd", "", ...drawWords(words || "-")));
  return [make("h3", title), list];
}

function drawFields({ required = [], properties = {} }) {
  return Object.entries(properties).map(([name, field]) => {
    const note = required.includes(name) ? " Required." : field.default != null ? ` Default ${field.default}.` : "";
    return [name, (field.description ?? "") + note];
  });
}

function drawOperation(method, path, operation) {
  const upload = operation.requestBody?.content["multipart/form-data"]?.schema ?? {};
  const fields = drawFields(upload);
  const parameters = (operation.parameters ?? [])
    .filter(({ name, in: place }) => place !== "header" && !(name in (upload.properties ?? {})))
    .map(({ name, description, schema }) => [
      name,
      (description ?? "") + (schema.default != null ? ` Default ${schema.default}.` : ""),
    ]);
  const example = operation.responses["200"]?.content?.["application/json"]?.example;
  return make(
    "section",
    "",
    make("h2", operation.summary),
    make("code", `${method.toUpperCase()} ${path}`),
    ...drawList("Parameters", parameters),
    ...drawList("Multipart fields", fields),
    ...drawList(
      "Answers",
      Object.entries(operation.responses).map(([status, { description }]) => [status, description]),
    ),
    ...(example ? [make("h3", "Example"), make("pre", JSON.stringify(example, null, 2))] : []),
  );
}

try {
  const { info, paths } = await (await fetch("/openapi.json")).json();
  page.append(make("h1", "Over HTTP"), make("p", info.description));
  page.append(
    make("p", "A search from the command line:"),
    make("pre", `curl -F image=@photo.jpg -F k=5 ${location.origin}/v1/search`),
  );
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(operations)) page.append(drawOperation(method, path, operation));
  }
} catch {
  page.append(make("p", "The server does not answer. Is it still running?"));
}
