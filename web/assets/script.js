"use strict";
// What pages need JavaScript for: passkeys, showing a password, local times.
// Everything else works without; what needs the script is hidden until it runs.
(() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const passkeys = Boolean(window.PublicKeyCredential);

  for (const e of all("[data-js]")) {
    e.hidden = "passkey" in e.dataset && !passkeys;
  }
  for (const e of all("[data-passkeys]")) e.hidden = !passkeys;
  for (const e of all("[data-no-passkeys]")) e.hidden = passkeys;

  for (const button of all("[data-show]")) {
    const input = document.getElementById(button.dataset.show);
    button.setAttribute("aria-controls", input.id);
    button.setAttribute("aria-label", "Show password");
    button.addEventListener("click", () => {
      const shown = input.type === "password";
      input.type = shown ? "text" : "password";
      button.textContent = shown ? "Hide" : "Show";
      button.setAttribute("aria-label", shown ? "Hide password" : "Show password");
    });
  }

  for (const t of all("time[datetime]")) {
    t.title = new Date(t.dateTime).toLocaleString(undefined, { dateStyle: "long", timeStyle: "short" });
  }

  // WebAuthn speaks in bytes, JSON in base64url (WebAuthn Level 3, 5.1.8).
  const bytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
  const withBytes = (list) => (list || []).map((c) => ({ ...c, id: bytes(c.id) }));

  const parse = (json) => {
    const given = JSON.parse(json);
    const o = given.publicKey || given;
    o.challenge = bytes(o.challenge);
    if (o.user) o.user.id = bytes(o.user.id);
    for (const list of ["allowCredentials", "excludeCredentials"]) {
      if (o[list]) o[list] = withBytes(o[list]);
    }
    return o;
  };

  const serialize = (credential) => {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[name]) response[name] = text(credential.response[name]);
    }
    if (credential.response.getTransports) response.transports = credential.response.getTransports();
    return JSON.stringify({
      id: credential.id,
      rawId: text(credential.rawId),
      type: credential.type,
      authenticatorAttachment: credential.authenticatorAttachment || undefined,
      clientExtensionResults: credential.getClientExtensionResults(),
      response,
    });
  };

  let waiting; // for a choice in the browser's suggestions; at most one ceremony runs

  const ceremony = (form, mediation) => {
    waiting?.abort();
    waiting = new AbortController();
    return navigator.credentials[form.dataset.passkey]({
      publicKey: parse(form.dataset.options),
      signal: waiting.signal,
      ...(mediation && { mediation }),
    });
  };

  const send = (form, credential) => {
    form.elements.credential.value = serialize(credential);
    form.submit();
  };

  const told = {
    InvalidStateError: "This device already has a passkey for your account.",
    NotAllowedError: "That did not work. Try again, or use another way.",
    SecurityError: "Passkeys do not work at this address.",
  };

  for (const form of passkeys ? all("form[data-passkey]") : []) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const failed = form.querySelector(".failed");
      failed.textContent = "";
      try {
        send(form, await ceremony(form));
      } catch (error) {
        failed.textContent = told[error.name] || told.NotAllowedError;
      }
    });
  }

  // Passkeys among the suggestions of the username, where browsers can.
  const suggested = document.querySelector('form[data-passkey="get"]');
  if (passkeys && suggested && document.querySelector('[autocomplete~="webauthn"]')) {
    (async () => {
      if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
      send(suggested, await ceremony(suggested, "conditional"));
    })().catch(() => {}); // nobody chose one; the button remains
  }
})();
