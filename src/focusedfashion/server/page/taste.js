// Likes and dislikes -> the order of what is shown. Computed here, from what the server says is similar to them.

import { getSimilar } from "./api.js";

const NEAR = 200; // products around a liked one that its like reaches
const LATEST = 8; // likes that count; each costs one request, once
const PULL = 0.15; // of a score: enough to pass neighbors, too little to bring up what looks different

const known = new Map(); // item_id -> Promise of Map: item_id -> 0..1, how close

function findNear(itemId) {
  if (!known.has(itemId)) {
    const near = getSimilar(itemId, NEAR).then(({ matches }) => {
      const least = matches.at(-1)?.score ?? 0;
      return new Map(matches.map(({ item, score }) => [item.item_id, (score - least) / Math.max(1e-6, 1 - least)]));
    });
    known.set(
      itemId,
      near.catch(() => new Map()),
    ); // an item that is gone pulls nothing
  }
  return known.get(itemId);
}

// Matches -> the same ones in the order of their scores with the pull of each like; what is disliked comes last.
export async function orderByTaste(matches, likes) {
  // Between words and pictures all scores are small, and have no words of their own.
  const most = matches[0]?.words === null ? PULL * Math.abs(matches[0].score) : PULL;
  const latest = [...likes].slice(-LATEST);
  const nears = await Promise.all(latest.map(([itemId]) => findNear(itemId)));
  const pull = (itemId) => {
    let [up, down] = [0, 0];
    latest.forEach(([likedId, value], place) => {
      const near = likedId === itemId ? 1 : (nears[place].get(itemId) ?? 0);
      if (value > 0) up = Math.max(up, near);
      else down = Math.max(down, near);
    });
    return most * (up - down);
  };
  const rate = ({ item, score }) => (likes.get(item.item_id) === -1 ? -2 : score + pull(item.item_id));
  const rates = new Map(matches.map((match) => [match, rate(match)]));
  return [...matches].sort((one, other) => rates.get(other) - rates.get(one));
}
