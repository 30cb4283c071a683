/** Words of files. They come with the code that needs them, not with the first page. */
import { bytes } from "../i18n/time.ts";
import { prefs } from "../state/prefs.ts";

const en = {
  kinds: {
    image: "Picture",
    video: "Video",
    audio: "Sound",
    text: "Text",
    pdf: "PDF",
    archive: "Archive",
    program: "Program",
    other: "File",
  },
  attached: "Files to send",
  caption: "What you write goes with the first file.",
  takeOff: (name: string) => `Do not send ${name}`,
  sending: "Files on their way",
  queued: "Waiting for its turn",
  checking: "Preparing…",
  moving: (done: string, all: string) => `${done} of ${all}`,
  rate: (rate: string) => `${rate}/s`,
  left: (time: string) => `${time} left`,
  directly: (names: string) => `directly from ${names}`,
  routed: (names: string) => `by way of the server from ${names}`,
  fromServer: (size: string) => `from the server (${size})`,
  dropped: (names: string) => `${names} sent something that is not this file, and is not asked for it any more. Nothing of that was kept.`,
  saying: "Sending the message…",
  waiting: "No connection. It goes on by itself when the connection is back.",
  paused: "Paused",
  cancel: "Cancel",
  cancelOf: (name: string) => `Cancel ${name}`,
  pause: "Pause",
  resume: "Go on",
  again: "Try again",
  choose: "Choose the file",
  ready: "All of it is here. Save it where you want it.",
  progress: (name: string) => `Progress of ${name}`,
  save: "Save",
  saveOf: (name: string) => `Save ${name}`,
  saved: "Saved",
  savedAs: (said: string, is: string) => `Saved. It was sent as ${said}, and by its content it is ${is}.`,
  show: "Show",
  showOf: (name: string) => `Show ${name}`,
  openOf: (name: string) => `Open the picture ${name}`,
  previewOf: (name: string) => `What ${name} looks like`,
  loading: "Loading the picture…",
  noPicture: "This is no picture that can be shown. You can save it.",
  viewer: "Picture",
  zoomIn: "Zoom in",
  zoomOut: "Zoom out",
  zoomFit: "Whole picture",
  zoom: (percent: number) => `${percent} %`,
  folder: "Folders cannot be sent. Pack it into an archive (zip) first.",
  tooMany: (most: number) => `At most ${most} files at once. The others were left out.`,
  auto: "Show pictures by themselves",
  autoHint: "Larger pictures wait until you ask for them. Nothing else is ever opened by itself.",
  autoTitle: "Files",
  never: "Never",
  upTo: (size: string) => `Up to ${size}`,
  failures: {
    file_too_large: (room: number | undefined) =>
      room ? `Too large: this server takes files up to ${bytes(room)}. Send it in parts.` : "Too large: the largest file has 64 GiB. Send it in parts.",
    file_quota: (room: number | undefined) =>
      `No room for it: ${room === undefined ? "your files on the server take all that you may have" : `you have ${bytes(room)} left on the server`}. Old files go by themselves after a while; or ask whoever runs the server.`,
    file_none_here: () => "This server keeps no files. Ask whoever runs it to turn them on.",
    file_changed: () => "The file changed or was moved while it was being sent. Nothing was sent: choose it again.",
    file_closed: () => "The page was closed while it was being sent. Choose the file again: it goes on from where it was.",
    file_other: () => "This is not the file that was being sent, or it has changed. Choose that one, or cancel and send this one.",
    file_damaged: () => "What the server has is not the file that was sent. Nothing of it was kept: ask for it to be sent again.",
    file_disk: () => "It could not be written to that place. Is there room, and may the browser write there? Save it again.",
    file_no_room: (room: number | undefined) =>
      `This browser cannot write to the disk piece by piece, so it takes files up to ${bytes(room ?? 0)}. Use Chrome, Edge or the program sotto.`,
    not_found: () => "The server does not keep this file any more. Ask for it to be sent again.",
    storage_full: () => "The server has no room left for files. Tell whoever runs it, then try again.",
  },
};

const ru: typeof en = {
  kinds: {
    image: "Изображение",
    video: "Видео",
    audio: "Звук",
    text: "Текст",
    pdf: "PDF",
    archive: "Архив",
    program: "Программа",
    other: "Файл",
  },
  attached: "Файлы для отправки",
  caption: "Ваш текст уйдёт вместе с первым файлом.",
  takeOff: (name) => `Не отправлять ${name}`,
  sending: "Файлы в пути",
  queued: "Ждёт своей очереди",
  checking: "Подготовка…",
  moving: (done, all) => `${done} из ${all}`,
  rate: (rate) => `${rate}/с`,
  left: (time) => `осталось ${time}`,
  directly: (names) => `напрямую: ${names}`,
  routed: (names) => `через сервер от: ${names}`,
  fromServer: (size) => `с сервера: ${size}`,
  dropped: (names) => `${names}: прислано не то, что в этом файле. Ничего из этого не сохранено, больше этот файл там не запрашивается.`,
  saying: "Отправка сообщения…",
  waiting: "Нет связи. Всё продолжится само, когда она появится.",
  paused: "Приостановлено",
  cancel: "Отменить",
  cancelOf: (name) => `Отменить ${name}`,
  pause: "Пауза",
  resume: "Продолжить",
  again: "Повторить",
  choose: "Выбрать файл",
  ready: "Файл получен целиком. Сохраните его, куда хотите.",
  progress: (name) => `Ход передачи ${name}`,
  save: "Сохранить",
  saveOf: (name) => `Сохранить ${name}`,
  saved: "Сохранено",
  savedAs: (said, is) => `Сохранено. Отправлено как ${said}, а по содержимому это ${is}.`,
  show: "Показать",
  showOf: (name) => `Показать ${name}`,
  openOf: (name) => `Открыть изображение ${name}`,
  previewOf: (name) => `Как выглядит ${name}`,
  loading: "Загрузка изображения…",
  noPicture: "Это не изображение, которое можно показать. Файл можно сохранить.",
  viewer: "Изображение",
  zoomIn: "Крупнее",
  zoomOut: "Мельче",
  zoomFit: "Целиком",
  zoom: (percent) => `${percent} %`,
  folder: "Папки отправить нельзя. Сначала упакуйте её в архив (zip).",
  tooMany: (most) => `Не больше ${most} файлов за раз. Остальные не добавлены.`,
  auto: "Показывать изображения сразу",
  autoHint: "Более крупные ждут, пока вы не попросите. Ничто другое само не открывается.",
  autoTitle: "Файлы",
  never: "Никогда",
  upTo: (size) => `До ${size}`,
  failures: {
    file_too_large: (room) =>
      room ? `Слишком большой: сервер принимает файлы до ${bytes(room)}. Отправьте по частям.` : "Слишком большой: самый большой файл — 64 ГиБ. Отправьте по частям.",
    file_quota: (room) =>
      `Не хватает места: ${room === undefined ? "ваши файлы заняли на сервере всё, что вам отведено" : `у вас на сервере осталось ${bytes(room)}`}. Старые файлы со временем удалятся сами; или обратитесь к владельцу сервера.`,
    file_none_here: () => "Этот сервер не хранит файлы. Попросите его владельца включить их.",
    file_changed: () => "Файл изменился или был перемещён во время отправки. Ничего не отправлено: выберите его снова.",
    file_closed: () => "Страницу закрыли во время отправки. Выберите файл снова: отправка продолжится с того же места.",
    file_other: () => "Это не тот файл, который отправляли, или он изменился. Выберите тот или отмените и отправьте этот.",
    file_damaged: () => "На сервере не тот файл, который отправляли. Ничего не сохранено: попросите отправить его снова.",
    file_disk: () => "Не удалось записать туда. Есть ли место и может ли браузер туда писать? Сохраните ещё раз.",
    file_no_room: (room) =>
      `Этот браузер не умеет писать на диск по частям, поэтому принимает файлы до ${bytes(room ?? 0)}. Возьмите Chrome, Edge или программу sotto.`,
    not_found: () => "Сервер больше не хранит этот файл. Попросите отправить его снова.",
    storage_full: () => "На сервере не осталось места для файлов. Сообщите владельцу и попробуйте снова.",
  },
};

export function words(): typeof en {
  return prefs.language === "ru" ? ru : en;
}

/** What a media type is called; `of` is what the file is by its content, or what its sender said. */
export function kindName(of: string): string {
  return words().kinds[kindOf(of)];
}

export type KindName = keyof (typeof en)["kinds"];

export function kindOf(of: string): KindName {
  const [family = "", rest = ""] = of.split("/");
  if (rest === "pdf") return "pdf";
  if (/executable|msdownload|java-vm|x-sh|x-mach|x-elf|x-msi|android\.package|wasm/.test(rest)) return "program";
  if (/zip|tar|rar|7z|compressed|xz|bzip|archive|cab|deb|rpm/.test(rest)) return "archive";
  if (family === "image" || family === "video" || family === "audio" || family === "text") return family;
  return "other";
}
