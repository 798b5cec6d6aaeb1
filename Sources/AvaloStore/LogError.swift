/// Why the log could not do what it was asked.
public enum LogError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The disk, or the file's own bound, is full. Passes when there is room again.
  case full(String)
  /// Reading or writing failed: an I/O error, a read-only file system. May pass.
  case unavailable(String)
  /// The file is damaged. Does not pass by itself.
  case corrupt(path: String, detail: String)
  /// A later release has changed the file's shape.
  case newerSchema(path: String)
  /// The file belongs to something else.
  case foreign(path: String)
  /// Another process owns the file.
  case locked(path: String)

  public var description: String {
    switch self {
    case .full(let detail): "no space left for the event log: \(detail)"
    case .unavailable(let detail): "the event log cannot be read or written: \(detail)"
    case .corrupt(let path, let detail):
      """
      \(path) is damaged: \(detail). Nothing was changed. Restore a backup in its place, or run avalo-scheduler \
      --repair once: that moves the file aside, and the next start begins an empty log under a new generation
      """
    case .newerSchema(let path):
      "\(path) was written by a later release. Install that release again, or restore a backup made before it"
    case .foreign(let path): "\(path) is no event log. Name another file in the setting `file`"
    case .locked(let path): "\(path) is owned by another process. Stop it first; two owners would lose events"
    }
  }
}
