/** Words of calls of groups, beside those of `words.ts`. */
import type { GroupCall, GroupPerson } from "../engine/api.ts";
import { plurals } from "../i18n/plural.ts";
import { prefs } from "../state/prefs.ts";

/** Why this device is not in a call any more. `failed`: the page cannot go on with it. */
export type Reason = NonNullable<GroupCall["reason"]> | "failed";

const count = { en: plurals("en"), ru: plurals("ru") };

const en = {
  region: (group: string) => `Call of ${group}`,
  calls: (who: string, group: string) => `${who} calls ${group}`,
  callsVideo: (who: string, group: string) => `${who} calls ${group} with video`,
  goesOn: "A call goes on",
  elsewhere: "You are in this call, in another tab",
  cannot: "A call goes on. This browser cannot seal calls of groups; a newer one can.",
  people: count.en({ one: "# person", other: "# people" }),
  alone: "Nobody else is here yet",
  join: "Join",
  joinVideo: "Join with video",
  leave: "Leave",
  you: "You",
  muted: "Muted",
  held: "On hold",
  links: {
    connecting: "Connecting…",
    connected: "Connected",
    reconnecting: "Trying again…",
  } satisfies Record<NonNullable<GroupPerson["link"]>, string>,
  locked: "Waiting for the key",
  tampered: "Somebody stands between you two. The connection was cut.",
  encrypted: "End-to-end encrypted",
  altered: "The server altered messages that set up this call. They were refused, and nothing of them was used.",
  reasons: {
    left: "You left the call",
    over: "The call is over",
    full: "Six devices are in this call: it is full",
    removed: "You are not in this group any more",
    lost: "The connection was lost",
    failed: "The call failed",
  } satisfies Record<Reason, string>,
};

const ru: typeof en = {
  region: (group) => `Звонок группы: ${group}`,
  calls: (who, group) => `${who} звонит в группу ${group}`,
  callsVideo: (who, group) => `${who} звонит с видео в группу ${group}`,
  goesOn: "Идёт звонок",
  elsewhere: "Вы в этом звонке, в другой вкладке",
  cannot: "Идёт звонок. Этот браузер не умеет шифровать групповые звонки; более новый умеет.",
  people: count.ru({ one: "# человек", few: "# человека", many: "# человек", other: "# человека" }),
  alone: "Пока больше никого",
  join: "Войти",
  joinVideo: "Войти с видео",
  leave: "Выйти",
  you: "Вы",
  muted: "Микрофон выключен",
  held: "На удержании",
  links: { connecting: "Соединение…", connected: "Соединено", reconnecting: "Пробуем снова…" },
  locked: "Ждём ключ",
  tampered: "Между вами кто-то стоит. Соединение разорвано.",
  encrypted: "Сквозное шифрование",
  altered: "Сервер изменил сообщения, которыми устанавливался звонок. Они отвергнуты, ничего из них не использовано.",
  reasons: {
    left: "Вы вышли из звонка",
    over: "Звонок завершён",
    full: "В звонке шесть устройств: мест нет",
    removed: "Вас больше нет в этой группе",
    lost: "Связь прервалась",
    failed: "Звонок не удался",
  },
};

export function groupWords(): typeof en {
  return prefs.language === "ru" ? ru : en;
}
