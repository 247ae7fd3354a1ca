/** Name, sign-up, sign-in, sign-out, and who else is an administrator. */
import { appoint, client, rename } from "@/client";
import type { Me } from "../src/people.ts";
import { element, showProblem } from "./dom.ts";

/** Who is looking at the page. */
export interface Caller extends Me {
  /** True for the company's administrators. */
  readonly admin: boolean;
}

/** The account's dialog. */
export interface AccountDialog {
  /** Shows who is signed in. */
  show(caller: Caller): void;
  /** Opens it, saying why. */
  ask(why: string): void;
}

/** Wires the dialog; `changed` is called when somebody else is signed in, or has another name. */
export function wireAccount(changed: () => void): AccountDialog {
  const dialog = element("account-dialog", HTMLDialogElement);
  const lead = element("account-lead", HTMLElement);
  const email = element("email", HTMLInputElement);
  const password = element("password", HTMLInputElement);
  const name = element("name", HTMLInputElement);
  let usual = "";

  /** Runs what a form asks for, with its button off and its problem beside it. */
  const onSubmit = (id: string, work: (button: string) => Promise<void>): void => {
    const problem = element(`${id}-problem`, HTMLElement);
    element(`${id}-form`, HTMLFormElement).addEventListener("submit", async (event) => {
      event.preventDefault();
      const button = event.submitter as HTMLButtonElement | null;
      showProblem(problem, null);
      if (button !== null) button.disabled = true;
      try {
        await work(button?.value ?? "");
      } catch (reason) {
        showProblem(problem, reason);
      } finally {
        if (button !== null) button.disabled = false;
      }
    });
  };

  onSubmit("name", async () => {
    await rename(name.value);
    changed();
  });
  onSubmit("sign", async (button) => {
    const credentials = { email: email.value, password: password.value };
    // `link` keeps the account that the guest has had all along: same id, same messages.
    if (button === "login") await client.auth.login(credentials);
    else await client.auth.link(credentials);
    password.value = "";
    dialog.close();
    changed();
  });
  onSubmit("appoint", async () => {
    const address = element("appoint-email", HTMLInputElement);
    await appoint(address.value);
    address.value = "";
  });
  element("sign-out", HTMLButtonElement).addEventListener("click", async () => {
    await client.auth.logout();
    dialog.close();
    changed();
  });
  element("account-done", HTMLButtonElement).addEventListener("click", () => dialog.close());
  element("account", HTMLButtonElement).addEventListener("click", () => {
    lead.textContent = usual;
    dialog.showModal();
  });

  return {
    show(caller) {
      usual = caller.guest
        ? "You are a guest. Sign up, and everything you said here stays yours."
        : "You are signed in.";
      lead.textContent = usual;
      name.value = caller.name;
      element("sign-form", HTMLFormElement).hidden = !caller.guest;
      element("sign-out", HTMLButtonElement).hidden = caller.guest;
      element("appoint-form", HTMLFormElement).hidden = !caller.admin;
    },
    ask(why) {
      lead.textContent = why;
      dialog.showModal();
      email.focus();
    },
  };
}
