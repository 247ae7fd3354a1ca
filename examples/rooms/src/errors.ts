import { AppError, ValidationError } from "@kontract/kontract";

/** The room can be read and not written to. */
export class RoomClosed extends AppError<"ROOM_CLOSED", { room: string }> {
  constructor(room: string) {
    super("ROOM_CLOSED", "This room is closed: you can read it, and not post.", {
      status: 409,
      data: { room },
    });
  }
}

/** There is a room of this name; `data.room` says which, so that a page can offer to go there. */
export class RoomTaken extends AppError<"ROOM_TAKEN", { room: string }> {
  constructor(room: string, name: string) {
    super("ROOM_TAKEN", `There is a room called “${name}” already.`, {
      status: 409,
      data: { room },
    });
  }
}

/** A text in one line, trimmed. @throws {ValidationError} with `data.field` where it does not fit */
export function checkLine(value: string, field: string, limit: number): string {
  const line = value.trim().replaceAll(/\s+/gu, " ");
  if (line === "") throw new ValidationError(`Please give a ${field}.`, { data: { field } });
  if (line.length > limit) {
    throw new ValidationError(`A ${field} has at most ${limit} characters.`, { data: { field } });
  }
  return line;
}
