// Every word that a person reads, and how numbers are written. Another language is another table of these.

const number = new Intl.NumberFormat();
const rules = new Intl.PluralRules("en"); // of the words below, not of the browser
const count = (n, one, other) => `${number.format(n)} ${rules.select(n) === "one" ? one : other}`;

export const words = {
  title: "FocusedFashion",
  skip: "Skip to the results",
  pitchTitle: "Find it by\nits look",
  pitch: "A photo of something you like, and the pieces in this catalog that come closest.",
  choose: "Choose a photo",
  chooseAnother: "Another photo",
  camera: "Take a photo",
  hint: "or drop one anywhere, or paste it",
  say: "Describe what you look for",
  sayHint: "or describe it: checked shirt",
  privacy:
    "Your photo is scaled down and freed of its metadata before it leaves this device. The server keeps it in memory for ten minutes, never on disk.",
  forCode: "Use it from code",
  overview: "Overview",
  wishes: "Wish list",
  items: (n) => count(n, "item", "items"),

  yourSearch: "Your search",
  yourPhoto: "Your photo",
  quoted: (text) => `“${text}”`,
  moreLike: (name) => `More like ${name}`,
  crop: "The part to look at. Arrow keys move it, with Shift further.",
  cropHandles: ["Top left corner", "Top right corner", "Bottom left corner", "Bottom right corner"],
  cropHandle: (name) => `${name} of the part to look at. Arrow keys move it.`,
  cropSaid: (width, height) => `Looking at ${width} by ${height} percent of the photo.`,
  whole: "Whole photo",
  adjust: "Crop",
  done: "Done",

  looking: "Looking…",
  lookingNews: "Looking for the closest.",
  closest: "Closest",
  byPrice: "The closest, by price",
  nothing: "Nothing found",
  nothingHint: "No product has all of these. Take a filter away.",
  noneNear: "The catalog is empty: index something into it first.",
  found: (n, name, closeness) => `${n} shown. The closest: ${name}, ${closeness}.`,
  added: (n) => `${count(n, "more product", "more products")} shown.`,
  more: "Show more",
  failed: "That did not work",
  retry: "Try again",
  lost: "The server does not answer. Is it still running?",
  expired: "This photo is gone: the server keeps photos for ten minutes only. Choose it again.",
  locked: "This catalog needs a key: open the link that the server printed when it started.",
  answered: (status) => `The server answered ${status}.`,

  refine: "Refine",
  refineCount: (n) => `Refine · ${n}`,
  closeRefine: "Show the results",
  matters: "What matters to you",
  weights: ["not at all", "a little", "less", "normal", "more", "a lot", "most"],
  balance: "All alike",
  sameBut: "Same, but in…",
  swatch: (color, n) => `Same, but in ${color} (${number.format(n)})`,
  filters: "Filters",
  clear: "Clear all",
  showAll: (n) => `Show all ${number.format(n)}`,
  least: (name) => `${name}, at least`,
  most: (name) => `${name}, at most`,
  remove: (text) => `Take away: ${text}`,
  between: (name, low, high) =>
    low && high ? `${name} ${low} – ${high}` : low ? `${name} from ${low}` : `${name} up to ${high}`,
  sort: "Sort",
  sorts: { score: "Closest first", price: "Price, low to high", "-price": "Price, high to low" },

  // By the number as it is shown. The server has the same words and the last say.
  closeness: { "very close": "Very close", close: "Close", similar: "Similar", "less similar": "Less similar" },
  why: "Why?",
  whyThis: (name) => `Why this one: ${name}`,
  whyTitle: "Why this one",
  score: "Closeness",
  scoreNote: "1 is the same picture. The number is the mean of these, each as heavy as you have set it.",
  scoreNoteText: "Between words and pictures the numbers stay low; what counts is which are higher.",
  shared: "In common",
  different: "Different",
  colorsTitle: "Color",
  colorYours: "yours",
  colorIts: "this one",
  colorDistance: [
    [3, "the same to the eye"],
    [10, "very near"],
    [25, "related"],
    [Infinity, "clearly different"],
  ],
  distance: (number) => `distance ${number} (ΔE2000)`,
  variants: (n) => `+${count(n, "view", "views")}`,
  variantsTitle: "Other views and variants",
  shop: "See it in the shop",
  moreLikeThis: "More like this",
  wish: (name) => `Wish list: ${name}`,
  like: (name) => `More of this kind: ${name}`,
  dislike: (name) => `Less of this kind: ${name}`,
  tasteNote: (likes, dislikes) =>
    `Ordered by your taste too: ${[likes && count(likes, "like", "likes"), dislikes && count(dislikes, "dislike", "dislikes")].filter(Boolean).join(", ")}, remembered in this browser only.`,
  forget: "Forget them",
  close: "Close",
  wishesEmpty: "Nothing here yet. The heart on a product puts it here; the list stays in this browser.",
  wishesNote: "Remembered in this browser only.",

  overviewTitle: "What is in here",
  overviewFacts: {
    items: "Items",
    products: "Products",
    encoder: "Encoder",
    indexed: "Last change",
    failed: "Left out",
  },
  overviewLabels: "What the encoder sees",
  overviewColumns: "What the catalog says",
  overviewColors: "Colors",
  overviewFailures: "What was left out, and why",
  overviewNoFailures: "Nothing: every row of the sources is in the catalog.",
  overviewFailure: { item: "Item", step: "Step", reason: "Reason" },
  overviewMore: (n) => `and ${number.format(n)} more, which \`focusedfashion failures\` lists.`,
  noMatter: "Nothing found in this group.",
  back: "Back to the search",

  docsTitle: "Over HTTP",
  docsCurl: "A search from the command line:",
  docsParameters: "Parameters",
  docsBody: (type) => `Body, ${type}`,
  docsFieldsOf: (name) => `In \`${name}\``,
  docsAnswers: "Answers",
  docsExample: "Answers, for example",
  docsErrors: (statuses) => `Errors: ${statuses}.`,
  docsErrorsTitle: "Errors",
  docsErrorsShape:
    "Every error is `application/problem+json`: `type`, `title`, `status`, `detail` (one line: what was wrong, and what to do) and `request_id`.",
  docsRequired: "Required.",
  docsDefault: (value) => `Default \`${value}\`.`,
};

export const formatNumber = (value) => number.format(value);

export const formatScore = (value) =>
  new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(value);

export function formatPrice(price, currency) {
  if (price == null) return "";
  try {
    return new Intl.NumberFormat(undefined, currency ? { style: "currency", currency } : {}).format(price);
  } catch {
    return `${price} ${currency}`; // not a currency that the browser knows
  }
}

export const formatTime = (text) =>
  new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }).format(new Date(text));

export const capitalize = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// articleType, base_color -> "Article type", "Base color"; attributes.category -> "Category"
export const nameColumn = (column) =>
  capitalize(
    column
      .replace(/^attributes\./, "")
      .replace(/([a-z])([A-Z])/g, (_, before, after) => `${before} ${after.toLowerCase()}`)
      .replace(/[_-]+/g, " "),
  );

// Fills every element that names its words: data-words is the text, data-label the name for a screen reader.
export function fillWords(root = document) {
  for (const element of root.querySelectorAll("[data-words]")) element.textContent = words[element.dataset.words];
  for (const element of root.querySelectorAll("[data-label]"))
    element.setAttribute("aria-label", words[element.dataset.label]);
}
