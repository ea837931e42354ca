// The page: one form, one list, and whatever the server says of them.

import { html, useCallback, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { facts, Refused } from "./api.js";
import { newDraft, draftFrom } from "./draft.js";
import { VideoForm } from "./form.js";
import { VideoList } from "./list.js";
import { SignIn } from "./sign-in.js";
import { useVideos } from "./videos.js";

const LOST_AGAIN = 3_000; // milliseconds until a server that does not answer is asked again

export function App() {
  const [known, setKnown] = useState(null);
  const [stranger, setStranger] = useState(false);
  const [lost, setLost] = useState(false);

  const load = useCallback(async () => {
    try {
      setKnown(await facts());
      setStranger(false);
      setLost(false);
    } catch (error) {
      if (error instanceof Refused && error.status === 401) return setStranger(true);
      setLost(true);
      setTimeout(load, LOST_AGAIN);
    }
  }, []);
  useEffect(() => void load(), []);

  return html`
    <a class="skip" href="#videos">Skip to the videos</a>
    <header class="top">
      <span class="mark" aria-hidden="true"></span>
      <span class="name">TalkingVideo</span>
    </header>
    <main>
      ${stranger && html`<${SignIn} onSignedIn=${load} />`}
      ${lost && !known && html`<p role="status" class="quiet">The server does not answer. Trying again …</p>`}
      ${known && !stranger && html`<${Workbench} facts=${known} onStranger=${() => setStranger(true)} />`}
    </main>
  `;
}

function Workbench({ facts, onStranger }) {
  const [draft, setDraft] = useState(newDraft);
  const { videos, reached, add, remove } = useVideos(onStranger);
  const form = useRef(null);

  const again = (video) => {
    setDraft(draftFrom(video));
    form.current.scrollIntoView({ block: "start" });
    form.current.querySelector("h1").focus({ preventScroll: true });
  };

  return html`
    <div ref=${form}>
      <${VideoForm} draft=${draft} setDraft=${setDraft} facts=${facts} onMade=${add} />
    </div>
    <${VideoList} videos=${videos} reached=${reached} facts=${facts} onAgain=${again} onChange=${add} onDeleted=${remove} />
  `;
}
