import Type from 'typebox'
import { closed } from '../parts.ts'

/** What the pages of a login look like. Rules that a schema cannot say are in `rules.ts`. */
export const PagesSchema = Type.Object(
  {
    name: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 64,
        description:
          'Of whoever offers the login, at the head of each page. Default: the host of `publicUrl`.',
      }),
    ),
    logo: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'An SVG (its source), or a PNG (as `data:image/png;base64,…`); its bytes will do for both. At most 64 KiB. It stands in the place of the name. An SVG may draw, and nothing else: no script, no style sheet, no reference to elsewhere.',
      }),
    ),
    accentColor: Type.Optional(
      Type.String({
        default: '#2563eb',
        pattern: '^#[0-9a-fA-F]{6}$',
        description:
          'Of the button, as #rrggbb: with a contrast of at least 3 against the light and the dark background. Its text is white or black.',
        problem: 'must be a colour as #rrggbb',
      }),
    ),
    supportUrl: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 2048,
        description: 'Where people get help: an https or mailto address, at the foot of each page.',
      }),
    ),
  },
  { ...closed, default: {}, description: 'What the pages of a login look like.' },
)
