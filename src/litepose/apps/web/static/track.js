// Ids from frame to frame: the most similar pairs (OKS) of people keep theirs.
import { areaOf, similarity } from './decode.js';

const LEAST = 0.3; // similarity of one person in two frames
const PATIENCE = 15; // frames that a person may be gone

export class Tracker {
  constructor(sigmas) {
    Object.assign(this, { sigmas, known: [], next: 1 });
  }

  // Gives each person an `id`.
  assign(people) {
    const seen = people.map(({ keypoints }) => ({
      places: keypoints.map(([x, y]) => [x, y]), scores: keypoints.map((keypoint) => keypoint[2]) }));
    const pairs = seen.flatMap((pose, i) => this.known.map((track) => {
      const area = Math.max(areaOf(pose), areaOf(track.pose));
      return { i, track, alike: similarity(pose, track.pose, area, this.sigmas) };
    })).filter(({ alike }) => alike > LEAST).sort((a, b) => b.alike - a.alike);
    this.known.forEach((track) => { track.gone += 1; });
    for (const { i, track } of pairs) {
      if (people[i].id !== undefined || track.gone === 0) continue;
      Object.assign(track, { pose: seen[i], gone: 0 });
      people[i].id = track.id;
    }
    people.forEach((person, i) => {
      if (person.id !== undefined) return;
      person.id = this.next++;
      this.known.push({ id: person.id, pose: seen[i], gone: 0 });
    });
    this.known = this.known.filter(({ gone }) => gone <= PATIENCE);
  }
}
