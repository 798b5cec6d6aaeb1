import Glibc

/// Why a loop could not be made.
public enum ReactorError: Error, CustomStringConvertible {
  /// A system call and its errno.
  case system(String, Int32)

  public var description: String {
    switch self {
    case .system(let call, let code): "\(call): \(String(cString: strerror(code)))"
    }
  }
}
