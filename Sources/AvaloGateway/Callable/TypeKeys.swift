import AvaloCore
import Glibc

/// Looks for `@type` keys inside a payload. Firebase's SDKs take an object with one for a wrapped value and throw on
/// what they do not know, and with it loses a client its whole batch: only 64-bit integers may be wrapped.
enum TypeKeys {
  static func check(_ payload: JSONView) throws(CallError) {
    // A key that reads `@type` holds an `@`, or an escape. Most payloads hold neither.
    guard holds(payload, UInt8(ascii: "@")) || holds(payload, UInt8(ascii: "\\")) else { return }
    try walk(payload)
  }

  private static func walk(_ view: JSONView) throws(CallError) {
    switch view.kind {
    case .object:
      try view.forEachMember { (key, value) throws(CallError) in
        if key.matches("@type"), !CallValue.isWrapping(view) {
          throw CallError(
            .invalidArgument,
            "payload must not hold a key \"@type\" (but for google.protobuf.Int64Value and UInt64Value): "
              + "Firebase clients could not read it")
        }
        try walk(value)
      }
    case .array: try view.forEachElement { (element) throws(CallError) in try walk(element) }
    default: break
    }
  }

  private static func holds(_ view: JSONView, _ byte: UInt8) -> Bool {
    memchr(view.raw.baseAddress!, Int32(byte), view.raw.count) != nil
  }
}
