/** The surroundings of a program that stays: a log that needs no terminal, a pid file, and no more rights than it needs. */

import type { Options } from '../cli/option-table.js';
import type { Background } from './daemon.js';
import { Log } from './log.js';
import { openPidFile, PID_FILE } from './pid-file.js';
import { type Account, dropPrivileges, planPrivileges } from './privilege.js';
import { loggerCommand, ServiceLog } from './service-log.js';
import { foreground, type Surroundings } from './surroundings.js';

/** `background` is undefined in the foreground. Throws a StartError. */
export function openService(options: Options, background: Background | undefined): Surroundings {
  const privileges = planPrivileges(options, process.getuid?.() ?? -1);
  const { log, end } = background === undefined ? foreground(options) : logging(options, privileges.account);
  const pidFile = options.pidFile ?? (background === undefined ? undefined : PID_FILE);
  const held = pidFile === undefined ? undefined : openPidFile(pidFile);
  return {
    log,
    isBackground: background !== undefined,
    rights: privileges.account === undefined ? 'kept' : 'dropped',
    ready() {
      if (privileges.account !== undefined) log.info(dropPrivileges(privileges.account));
      else if (options.reads.length === 0) log.info(`no rights dropped: ${privileges.kept}`);
      background?.ready();
    },
    async end() {
      await end();
      held?.release();
    },
  };
}

/** The log of a program without a terminal: logger(1), which runs as the account that the program becomes. */
function logging({ logLevel, logFormat }: Options, account: Account | undefined) {
  const { command, hasPriorities } = loggerCommand();
  const stream = new ServiceLog({ command, account });
  const log = new Log({
    level: logLevel,
    format: logFormat,
    timestamps: false,
    priorities: hasPriorities,
    stream,
    now: Date.now,
  });
  return {
    log,
    async end() {
      await log.close();
      await new Promise<void>((done) => stream.end(() => done()));
    },
  };
}
