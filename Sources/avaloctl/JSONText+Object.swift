import AvaloClient
import AvaloCore

extension JSONText {
  /// An object of these members.
  static func of(_ members: (inout JSONWriter) -> Void) -> JSONText { JSONText { $0.object { members(&$0) } } }
}
