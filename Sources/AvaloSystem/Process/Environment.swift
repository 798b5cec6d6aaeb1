import CAvalo
import Glibc

/// Where variables come from: the process's own environment, or a table in a test.
public struct Environment: Sendable {
  private let table: [String: String]?

  /// The process's environment, read at each look.
  public static let process = Environment(table: nil)

  public init(_ table: [String: String]) { self.init(table: table) }
  private init(table: [String: String]?) { self.table = table }

  public subscript(_ name: String) -> String? {
    if let table { return table[name] }
    return getenv(name).map { String(cString: $0) }
  }

  /// A non-negative decimal number; `nil` when it is absent or is none.
  func number<Value: FixedWidthInteger>(_ name: String, as: Value.Type) -> Value? {
    guard let text = self[name], !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return Value(text)
  }
}

/// An operating system call that failed.
public struct SystemError: Error, Equatable, CustomStringConvertible, Sendable {
  public let call: String
  public let code: Int32

  public init(_ call: String, _ code: Int32 = errno) {
    self.call = call
    self.code = code
  }
  public var description: String { "\(call): \(SystemError.text(of: code))" }

  /// What strerror(3) says, without its shared buffer.
  public static func text(of code: Int32) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) {
      String(cString: avalo_error_text(code, $0.baseAddress!, $0.count))
    }
  }
}
