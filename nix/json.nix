# A value as JSON, as builtins.toJSON has it; but a set is always a set. Of one with an attribute outPath or __toString
# the builtin takes that attribute alone, and these are names that a model may have. `text` is what the value was read
# from: where it can hold no such name, the builtin does it, at once.
text:
let
  inherit (builtins) attrNames concatStringsSep isAttrs isList replaceStrings toJSON;
  json = value:
    if isAttrs value then
      "{${concatStringsSep "," (map (name: "${toJSON name}:${json value.${name}}") (attrNames value))}}"
    else if isList value then "[${concatStringsSep "," (map json value)}]"
    else toJSON value;
in
if replaceStrings [ "outPath" "__toString" "\\u" ] [ "" "" "" ] text == text then toJSON else json
