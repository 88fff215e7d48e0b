// A file -> a small JPEG, upright and without its metadata.

const LONGER_SIDE = 800; // px; the encoder looks at 96 or so, which leaves room for a crop to an eighth
const JPEG_QUALITY = 0.85;

// The file itself comes back where the browser cannot read it (HEIC): the server may.
export async function shrink(file) {
  const image = new Image();
  const url = URL.createObjectURL(file);
  try {
    image.src = url;
    // Not image.decode(): the canvas below decodes at the size that it needs, which is several times faster.
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = reject;
    });
    const factor = Math.min(1, LONGER_SIDE / Math.max(image.naturalWidth, image.naturalHeight));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(image.naturalWidth * factor));
    canvas.height = Math.max(1, Math.round(image.naturalHeight * factor));
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff"; // under transparency, as the server has it
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.imageSmoothingQuality = "medium";
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return (await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", JPEG_QUALITY))) ?? file;
  } catch {
    return file;
  } finally {
    URL.revokeObjectURL(url);
  }
}

export const toDataUrl = (blob) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });

export function toBlob(dataUrl) {
  const [head, data] = dataUrl.split(",");
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: head.slice(5, head.indexOf(";")) });
}
