// The list of videos, kept as the server has it: read when the page opens, then followed by events, or by asking again.

import { useCallback, useEffect, useState } from "./vendor/htm-preact.js";
import { EVENTS, list, Refused, toVideo } from "./api.js";

const ASK_AGAIN = 2_000; // milliseconds between two looks at the list while no events arrive
const CHANGES = ["video.queued", "video.in_progress", "video.completed", "video.failed"];

export function useVideos(onStranger) {
  const [videos, setVideos] = useState(null);
  const [reached, setReached] = useState(true);
  const [live, setLive] = useState(false); // whether changes arrive by themselves

  const put = useCallback((video) => setVideos((known) => merged(known ?? [], video)), []);
  const remove = useCallback((id) => setVideos((known) => (known ?? []).filter((video) => video.id !== id)), []);
  const look = useCallback(async () => {
    try {
      setVideos(await list());
      setReached(true);
    } catch (error) {
      if (error instanceof Refused && error.status === 401) onStranger();
      else setReached(false);
    }
  }, []);

  useEffect(() => void look(), []);
  useEffect(() => follow({ put, remove, onOpen: () => (setLive(true), look()), onLost: () => (setLive(false), look()) }), []);
  useEffect(() => {
    if (live) return undefined;
    const timer = setInterval(look, ASK_AGAIN);
    return () => clearInterval(timer);
  }, [live]);

  return { videos, reached, add: put, remove };
}

/** Follow the events. The browser connects again by itself, unless it was refused: then this does. */
function follow({ put, remove, onOpen, onLost }) {
  let source;
  let timer;
  const open = () => {
    source = new EventSource(EVENTS);
    source.onopen = onOpen;
    source.onerror = () => {
      onLost();
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, ASK_AGAIN);
    };
    for (const name of CHANGES) source.addEventListener(name, (event) => put(toVideo(JSON.parse(event.data))));
    source.addEventListener("video.deleted", (event) => remove(JSON.parse(event.data).id));
  };
  open();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}

function merged(known, video) {
  const rest = known.filter((each) => each.id !== video.id);
  return [...rest, video].sort((one, other) => other.created - one.created || (one.id < other.id ? 1 : -1));
}
