/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Name, topic and kind of a room: for a new one, and for the settings of one that is there. */
import { useState } from "preact/hooks";
import { explain, NAME_BYTES_MAX, TOPIC_BYTES_MAX, utf8_bytes, type RoomKind } from "../protocol";
import { Choice, Field, Problem } from "./field";

export interface RoomForm {
  label: string;
  topic: string;
  access: RoomKind;
}

interface RoomFormProps {
  start: RoomForm;
  verb: string;
  save: (form: RoomForm) => Promise<void>;
}

export function RoomFormFields({ start, verb, save }: RoomFormProps) {
  const [form, set_form] = useState(start);
  const [problem, set_problem] = useState("");
  const [busy, set_busy] = useState(false);

  const submit = async () => {
    const label = form.label.trim();
    if (label === "" || utf8_bytes(label) > NAME_BYTES_MAX) {
      set_problem(label === "" ? "Give the room a name." : "The name is too long.");
      return;
    }
    if (utf8_bytes(form.topic) > TOPIC_BYTES_MAX) {
      set_problem("The topic is too long.");
      return;
    }
    set_busy(true);
    set_problem("");
    try {
      await save({ ...form, label, topic: form.topic.trim() });
    } catch (error) {
      set_problem(explain(error));
      set_busy(false);
    }
  };

  return (
    <form
      class="grid gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <Field
        label="Name"
        value={form.label}
        change={(label) => set_form({ ...form, label })}
        maxLength={NAME_BYTES_MAX}
        required
        autocomplete="off"
        autofocus
      />
      <Field
        label="Topic"
        hint="What is the room for? You may leave this empty."
        value={form.topic}
        change={(topic) => set_form({ ...form, topic })}
        maxLength={TOPIC_BYTES_MAX}
        autocomplete="off"
      />
      <Choice
        legend="Who can join"
        value={form.access}
        options={[
          { value: "public", label: "Public", hint: "Anyone can find and join it." },
          { value: "private", label: "Private", hint: "Only people you invite." },
        ]}
        change={(access) => set_form({ ...form, access })}
      />
      <Problem>{problem}</Problem>
      <button type="submit" class="button button-main" disabled={busy}>
        {verb}
      </button>
    </form>
  );
}
