// The camera or a clip as a playing <video>.
const KINDS = /\.(webm|mp4|m4v|mov|mkv|avi|ogv)$/i;

export const isClip = (blob) => blob.type.startsWith('video/') || KINDS.test(blob.name ?? '');

const video = (how) => Object.assign(document.createElement('video'), { muted: true, playsInline: true, ...how });

export async function openCamera() {
  try {
    const camera = video({ srcObject: await navigator.mediaDevices.getUserMedia({ video: { width: 640 } }) });
    await camera.play();
    return camera;
  } catch (wrong) {
    throw new Error(`The camera cannot be used: ${wrong.message}`);
  }
}

export async function openClip(blob) {
  const clip = video({ src: URL.createObjectURL(blob) });
  try {
    await clip.play();
  } catch {
    close(clip);
    throw new Error('This browser cannot play the clip. WebM and MP4 (H.264) are played by most.');
  }
  if (!clip.videoWidth) {
    close(clip);
    throw new Error('This clip has sound but no images.');
  }
  return clip;
}

export function close(playing) {
  playing.pause();
  playing.srcObject?.getTracks().forEach((track) => track.stop());
  if (playing.src) URL.revokeObjectURL(playing.src);
}
