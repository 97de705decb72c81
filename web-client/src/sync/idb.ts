// IndexedDB with promises, and nothing more. A transaction ends by itself as soon as it has nothing to do: whoever awaits anything but its own requests in
// the middle of one loses it.

/** The result of one request. */
export function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error ?? new Error('the request failed'))
  })
}

/** Resolves when the transaction is committed; rejects with the reason when it is not, and then nothing of it happened. */
export function committed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve()
    transaction.onabort = () => reject(transaction.error ?? new Error('the transaction was aborted'))
  })
}

/** Gives it up, if it has not ended already. */
export function abort(transaction: IDBTransaction): void {
  try {
    transaction.abort()
  } catch {
    // It had ended already.
  }
}

export interface OpenDatabase {
  factory: IDBFactory
  name: string
  version: number
  /** Brings the schema from `from` (0: new) to `version`. */
  upgrade(database: IDBDatabase, from: number): void
  /** Milliseconds after which an opening that another tab blocks is given up. */
  patienceMs: number
}

/** Why there is no database, in words for people. */
export class StorageTrouble extends Error {
  override readonly name = 'StorageTrouble'
}

export function openDatabase({ factory, name, version, upgrade, patienceMs }: OpenDatabase): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    let request: IDBOpenDBRequest
    try {
      request = factory.open(name, version)
    } catch (error) {
      return reject(trouble(error))
    }
    let isLate = false
    const patience = setTimeout(() => {
      isLate = true
      reject(
        new StorageTrouble(
          'Another tab with an older version of this page keeps the storage of this device busy. Close it and reload.'
        )
      )
    }, patienceMs)
    request.onupgradeneeded = event => upgrade(request.result, event.oldVersion)
    request.onsuccess = () => {
      clearTimeout(patience)
      if (isLate) request.result.close()
      else resolve(request.result)
    }
    request.onerror = () => {
      clearTimeout(patience)
      reject(trouble(request.error))
    }
  })
}

/** What went wrong, in words for people. */
export function trouble(error: unknown): StorageTrouble {
  if (error instanceof StorageTrouble) return error
  const { name, message } =
    error instanceof Error || error instanceof DOMException ? error : { name: '', message: String(error) }
  return new StorageTrouble(WORDS[name] ?? `The storage of this device failed: ${message}`, { cause: error })
}

const WORDS: Readonly<Record<string, string>> = {
  QuotaExceededError: 'This device has no more room for the page.',
  VersionError: 'A newer version of this page has used this device. Reload to get it.',
  SecurityError: 'This browser does not let the page keep anything on this device (a private window?).',
  InvalidStateError: 'The storage of this device was taken away from this tab. Reload the page.',
  UnknownError: 'The storage of this device does not work: the disk may be full or damaged.'
}
