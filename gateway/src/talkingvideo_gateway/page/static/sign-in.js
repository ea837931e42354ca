import { html, useState } from "./vendor/htm-preact.js";
import { signIn } from "./api.js";

export function SignIn({ onSignedIn }) {
  const [problem, setProblem] = useState("");

  const submit = async (event) => {
    event.preventDefault();
    try {
      await signIn(new FormData(event.target).get("token").trim());
      onSignedIn();
    } catch (error) {
      setProblem(error.message);
    }
  };

  return html`
    <form class="sign-in" onSubmit=${submit}>
      <h1>Sign in</h1>
      <p class="lead">This service makes videos for people it knows. Use the token that you were given.</p>
      <label>
        Token
        <input name="token" type="password" autocomplete="current-password" required
          aria-invalid=${problem ? "true" : null} aria-describedby="sign-in-problem" />
      </label>
      <p id="sign-in-problem" role="alert" class="problem">${problem}</p>
      <button type="submit">Sign in</button>
    </form>
  `;
}
