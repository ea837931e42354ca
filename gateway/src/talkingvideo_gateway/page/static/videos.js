// The list of videos, kept as the server has it: read when the page opens, then followed.

import { useCallback, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { eventsUrl, list, Refused, toVideo } from "./api.js";

const FOLLOWED = 3; // videos with an event stream of their own; browsers open six connections to one server
const SLOW = 10_000; // milliseconds between two looks at the list while events arrive
const FAST = 2_000; // and while they do not

export function useVideos(onStranger) {
  const [videos, setVideos] = useState(null);
  const [reached, setReached] = useState(true);
  const [broken, setBroken] = useState(false); // whether event streams do not work here

  const put = useCallback((video) => setVideos((known) => merged(known ?? [], video)), []);
  const remove = useCallback((id) => setVideos((known) => known.filter((video) => video.id !== id)), []);

  const look = useCallback(async () => {
    try {
      setVideos(await list());
      setReached(true);
      setBroken(false);
    } catch (error) {
      if (error instanceof Refused && error.status === 401) onStranger();
      else setReached(false);
    }
  }, []);

  const unfinished = (videos ?? []).filter(isUnfinished);
  const pace = !reached || broken ? FAST : SLOW;
  useEffect(() => void look(), []);
  useEffect(() => {
    if (reached && !unfinished.length) return undefined;
    const timer = setInterval(look, pace);
    return () => clearInterval(timer);
  }, [pace, unfinished.length > 0, reached]);
  useEffect(() => {
    const seen = () => !document.hidden && look();
    document.addEventListener("visibilitychange", seen);
    return () => document.removeEventListener("visibilitychange", seen);
  }, []);

  useStreams(broken ? [] : unfinished.slice(-FOLLOWED).map((video) => video.id), put, look, () => setBroken(true));
  return { videos, reached, add: put, remove };
}

/** One event stream for each id. */
function useStreams(ids, onVideo, onEnd, onBroken) {
  const streams = useRef(new Map());
  useEffect(() => {
    for (const [id, stream] of streams.current) {
      if (!ids.includes(id)) {
        stream.close();
        streams.current.delete(id);
      }
    }
    for (const id of ids) {
      if (!streams.current.has(id)) streams.current.set(id, stream(id, onVideo, onEnd, onBroken));
    }
  }, [ids.join()]);
  useEffect(() => () => streams.current.forEach((each) => each.close()), []);
}

function stream(id, onVideo, onEnd, onBroken) {
  const source = new EventSource(eventsUrl(id));
  source.addEventListener("video", (event) => {
    const video = toVideo(JSON.parse(event.data));
    onVideo(video);
    if (isUnfinished(video)) return;
    source.close();
    onEnd();
  });
  source.onerror = () => {
    source.close();
    onBroken();
  };
  return source;
}

const isUnfinished = (video) => video.state === "running" || video.state === "queued";

function merged(known, video) {
  const rest = known.filter((each) => each.id !== video.id);
  return [...rest, video].sort((one, other) => other.created - one.created || (one.id < other.id ? 1 : -1));
}
