#include "lib/Parameters/Ledger.h"

#include "lib/Archive/Json.h"

#include <cstdio>

using namespace qopt;

std::string_view qopt::toString(LedgerStatus status) {
  switch (status) {
  case LedgerStatus::Quantized:
    return "quantized";
  case LedgerStatus::Kept:
    return "kept";
  case LedgerStatus::Waived:
    return "waived";
  }
  return "kept";
}

/// Seven significant digits in a width that does not depend on the value. What is no number is as bad as can be.
static std::string fixedWidth(double value) {
  if (value < 1e-99)
    value = 0;
  if (!(value <= 9e99))
    value = 9e99;
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.6e", value);
  return buffer;
}

/// A JSON string; names and rules are UTF-8 already, anything else is replaced.
static std::string quoted(const std::string &text) {
  return nlohmann::ordered_json(text).dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string Ledger::toJson() const {
  std::string text = "{\"version\":4,\"cancelled_scales\":[";
  for (const CancelledScale &scale : cancelled)
    text += std::string(&scale == cancelled.data() ? "\n" : ",\n") + "{\"name\":" + quoted(scale.name) +
            ",\"reason\":" + quoted(scale.reason) + "}";
  text += "],\n\"rows\":[";
  for (const LedgerRow &row : rows) {
    text += &row == rows.data() ? "\n" : ",\n";
    text += "{\"name\":" + quoted(row.name) + ",\"status\":\"" + std::string(toString(row.status)) +
            "\",\"rule\":" + quoted(row.rule) + ",\"scheme\":" + quoted(row.scheme) +
            ",\"algorithm\":" + quoted(row.algorithm) + ",\"elements\":" + std::to_string(row.elements) +
            ",\"bytes\":" + std::to_string(row.bytes) + ",\"bits_per_weight\":" + fixedWidth(row.bitsPerWeight) +
            ",\"relative_mse\":" + fixedWidth(row.relativeError) + ",\"worst_error\":" + fixedWidth(row.worstError) +
            ",\"output_error\":" + fixedWidth(row.outputError) + ",\"damping\":" + fixedWidth(row.damping) +
            ",\"tokens\":" + std::to_string(row.tokens) + ",\"silent_inputs\":" + std::to_string(row.silentInputs) +
            ",\"scaled_by\":[";
    for (const std::string &factor : row.scaledBy)
      text += (&factor == row.scaledBy.data() ? "" : ",") + quoted(factor);
    text += "]}";
  }
  return text + "\n]}";
}

Result<Ledger> Ledger::parse(std::string_view json) {
  Result<nlohmann::ordered_json> parsed = parseJson(json);
  if (!parsed)
    return parsed.takeError().in("ledger");
  auto broken = [](const std::string &what) { return badInput("expected " + what, "ledger"); };
  if (!parsed->is_object() || !parsed->contains("version") || !(*parsed)["version"].is_number_integer() ||
      (*parsed)["version"].get<int64_t>() != 4)
    return broken("an object with \"version\":4");
  if (!parsed->contains("rows") || !(*parsed)["rows"].is_array())
    return broken("an array \"rows\"");
  Ledger ledger;
  if (!parsed->contains("cancelled_scales") || !(*parsed)["cancelled_scales"].is_array())
    return broken("an array \"cancelled_scales\"");
  for (const nlohmann::ordered_json &object : (*parsed)["cancelled_scales"]) {
    if (!object.is_object() || !object.contains("name") || !object["name"].is_string() || !object.contains("reason") ||
        !object["reason"].is_string())
      return broken("a name and a reason for each cancelled scale");
    ledger.cancelled.push_back({object["name"].get<std::string>(), object["reason"].get<std::string>()});
  }
  for (const nlohmann::ordered_json &object : (*parsed)["rows"]) {
    std::string missing;
    auto text = [&](const char *key, std::string &out) {
      if (object.is_object() && object.contains(key) && object[key].is_string())
        out = object[key].get<std::string>();
      else
        missing = key;
    };
    auto integer = [&](const char *key, int64_t &out) {
      if (object.is_object() && object.contains(key) && object[key].is_number_integer())
        out = object[key].get<int64_t>();
      else
        missing = key;
    };
    auto number = [&](const char *key, double &out) {
      if (object.is_object() && object.contains(key) && object[key].is_number())
        out = object[key].get<double>();
      else
        missing = key;
    };
    LedgerRow row;
    std::string status;
    text("name", row.name);
    text("status", status);
    text("rule", row.rule);
    text("scheme", row.scheme);
    text("algorithm", row.algorithm);
    integer("elements", row.elements);
    integer("bytes", row.bytes);
    number("bits_per_weight", row.bitsPerWeight);
    number("relative_mse", row.relativeError);
    number("worst_error", row.worstError);
    number("output_error", row.outputError);
    number("damping", row.damping);
    integer("tokens", row.tokens);
    integer("silent_inputs", row.silentInputs);
    if (!object.is_object() || !object.contains("scaled_by") || !object["scaled_by"].is_array())
      return broken("a list \"scaled_by\" in each row");
    for (const nlohmann::ordered_json &factor : object["scaled_by"]) {
      if (!factor.is_string())
        return broken("names of factors in \"scaled_by\"");
      row.scaledBy.push_back(factor.get<std::string>());
    }
    if (!missing.empty())
      return broken("a field \"" + missing + "\" in each row");
    bool known = false;
    for (LedgerStatus candidate : {LedgerStatus::Quantized, LedgerStatus::Kept, LedgerStatus::Waived})
      if (status == toString(candidate)) {
        row.status = candidate;
        known = true;
      }
    if (!known)
      return broken("a status of quantized, kept or waived, but got \"" + escapeForMessage(status) + "\"");
    ledger.rows.push_back(std::move(row));
  }
  return ledger;
}
