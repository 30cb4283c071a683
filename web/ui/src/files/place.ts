/** Where a file that comes in is put together: in memory, or at a place that the person chose. */
import type { Target } from "./messages.ts";
import { Refused } from "./wire.ts";

export type Place = Memory | Disk;

export function openPlace(target: Exclude<Target, "later">): Promise<Place> {
  return target === "memory" ? Promise.resolve(new Memory()) : Disk.open(target);
}

/** What came lies in the browser's memory, which it moves to its disk when there is much of it. */
class Memory {
  private readonly parts: Blob[] = [];

  write(chunk: number, _start: number, part: Uint8Array<ArrayBuffer>): Promise<void> {
    this.parts[chunk] = new Blob([part]);
    return Promise.resolve();
  }

  /** Nothing else than a picture gets a type by which a browser would show it. */
  done(type: string | undefined): Promise<Blob> {
    return Promise.resolve(new Blob(this.parts, { type: type ?? "application/octet-stream" }));
  }

  drop(): Promise<void> {
    this.parts.length = 0;
    return Promise.resolve();
  }
}

/** A place that the person chose. The browser writes beside it, and puts it there when all is through. */
class Disk {
  private constructor(
    private readonly handle: FileSystemFileHandle,
    private readonly writable: FileSystemWritableFileStream,
    /** There was nothing before. */
    private readonly made: boolean,
  ) {}

  static async open(handle: FileSystemFileHandle): Promise<Disk> {
    return onDisk(async () => {
      const made = (await handle.getFile()).size === 0;
      return new Disk(handle, await handle.createWritable(), made);
    });
  }

  write(_chunk: number, start: number, part: Uint8Array<ArrayBuffer>): Promise<void> {
    return onDisk(() => this.writable.write({ type: "write", position: start, data: part }));
  }

  async done(): Promise<undefined> {
    await onDisk(() => this.writable.close());
    return undefined;
  }

  async drop(): Promise<void> {
    await this.writable.abort().catch(() => undefined);
    // The browser makes an empty file when a place is chosen.
    if (this.made) await (this.handle as { remove?: () => Promise<void> }).remove?.().catch(() => undefined);
  }
}

export async function onDisk<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new Refused("file_disk", error instanceof Error ? error.message : String(error));
  }
}
