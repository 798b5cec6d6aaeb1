import CAvalo

/// Why a loop could not be made.
public enum ReactorError: Error, CustomStringConvertible {
  /// A system call and its errno.
  case system(String, Int32)

  public var description: String {
    switch self {
    case .system(let call, let code):
      withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
        "\(call): \(String(cString: avalo_error_text(code, buffer.baseAddress, buffer.count)))"
      }
    }
  }
}
