// What this browser remembers: likes and wishes for good, this tab's photos until it is closed. Nothing of it is sent.

const LIKES = "focusedfashion.likes"; // [[item_id, 1 or -1], …], the latest last
const WISHES = "focusedfashion.wishes"; // [[item_id, item], …], the latest last
const PHOTO = "focusedfashion.photo."; // + image_id: a data URL
const MOST = 200; // of either
const MOST_PHOTOS = 8; // 0.1 MB each

function read(key) {
  try {
    return new Map(JSON.parse(localStorage.getItem(key)) ?? []);
  } catch {
    return new Map(); // what cannot be read, or a browser that remembers nothing
  }
}

function write(key, things) {
  try {
    localStorage.setItem(key, JSON.stringify([...things].slice(-MOST)));
  } catch {
    // full, or forbidden: it is then not remembered
  }
}

export const readLikes = () => read(LIKES);

// `value` is 1, -1 or 0, which forgets.
export function setLike(itemId, value) {
  const likes = read(LIKES);
  likes.delete(itemId);
  if (value) likes.set(itemId, value);
  write(LIKES, likes);
}

export const forgetLikes = () => write(LIKES, new Map());

export const readWishes = () => [...read(WISHES).values()].reverse();

export const hasWish = (itemId) => read(WISHES).has(itemId);

export function setWish({ item_id, title, brand, url, price, currency }, wanted) {
  const wishes = read(WISHES);
  wishes.delete(item_id);
  if (wanted) wishes.set(item_id, { item_id, title, brand, url, price, currency });
  write(WISHES, wishes);
}

export function keepPhoto(imageId, dataUrl) {
  try {
    const kept = Object.keys(sessionStorage).filter((key) => key.startsWith(PHOTO));
    if (kept.length >= MOST_PHOTOS) sessionStorage.removeItem(kept[0]);
    sessionStorage.setItem(PHOTO + imageId, dataUrl);
  } catch {
    // full, or forbidden: Back to this photo then asks for it again
  }
}

export const readPhoto = (imageId) => sessionStorage.getItem(PHOTO + imageId) ?? "";
